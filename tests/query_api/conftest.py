"""The query API over a real store, and a way to put spans into it."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client import CollectorRegistry, Counter

import backtrail_query
import backtrail_query.errors
from backtrail_ingest.envelope import Envelope
from backtrail_ingest.inspection import inspect
from backtrail_store import Batch, Store, open_store
from tests.factories import START, otlp_request
from tests.query_api.recorded import failed_run

Insert = Callable[..., None]


def insert_spans(store: Store, *spans: Span, project: str = "default", received: int = START) -> None:
    request = inspect(otlp_request(*spans).SerializeToString())
    envelope = Envelope.around(request, project=project, received_unix_nano=received)
    store.insert(Batch(first_id=1, last_id=1, body=envelope.head + envelope.request))


def build_app(store: Store) -> FastAPI:
    app = FastAPI()
    app.state.store = store
    app.state.registry = CollectorRegistry()
    Counter("backtrail_spans_received", "spans", registry=app.state.registry).inc(3)
    app.include_router(backtrail_query.create_router())
    backtrail_query.errors.install(app)
    return app


@pytest.fixture
def insert(store: Store) -> Insert:
    return partial(insert_spans, store)


@pytest.fixture
def app(store: Store) -> FastAPI:
    return build_app(store)


@pytest.fixture
def api(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def failed_run_api(engine_folder: Path) -> Iterator[TestClient]:
    """An API that holds the recorded run that failed, for tests that only ask."""
    with open_store(f"chdb://{engine_folder}?database=failed_run") as store:
        store.migrate()
        insert_spans(store, *failed_run())
        with TestClient(build_app(store), raise_server_exceptions=False) as client:
            yield client
