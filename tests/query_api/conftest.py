"""The query API over a real store."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, Counter
from starlette.types import ASGIApp, Receive, Scope, Send

import backtrail_query
import backtrail_query.errors
from backtrail_store import Store, open_store
from tests.factories import batch_of, otlp_request
from tests.query_api.recorded import failed_run


class InProject:
    """What the gate does for a key of this project."""

    def __init__(self, app: ASGIApp, project: str) -> None:
        self._app = app
        self._project = project

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["project"] = self._project
        await self._app(scope, receive, send)


def build_app(store: Store) -> FastAPI:
    app = FastAPI()
    app.state.store = store
    app.state.registry = CollectorRegistry()
    Counter("backtrail_spans_received", "spans", registry=app.state.registry).inc(3)
    app.include_router(backtrail_query.create_router())
    backtrail_query.errors.install(app)
    app.add_middleware(InProject, project="default")
    return app


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
        store.insert(batch_of(otlp_request(*failed_run())))
        with TestClient(build_app(store), raise_server_exceptions=False) as client:
            yield client
