"""create_app(settings): opens the parts in order, closes them in reverse.

    folder → gRPC port → store → inbox → writer → receivers

The writer stops before the inbox closes, the inbox before the store, and the receivers before all of them.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

import backtrail_ingest
import backtrail_query
import backtrail_query.errors
from backtrail_ingest import Admission, GrpcReceiver, Inbox, Ledger, open_inbox, running_writer
from backtrail_server.folder import keep_temporary_files_in, owned_folder
from backtrail_server.memory import giving_memory_back
from backtrail_server.pricing import learning_prices
from backtrail_server.settings import Settings
from backtrail_store import open_store


def create_app(settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.registry = CollectorRegistry()
        ledger = Ledger(app.state.registry)
        with owned_folder(settings.data) as folder:
            keep_temporary_files_in(folder)
            async with grpc_receiver(settings) as grpc:
                with open_store(settings.store_dsn) as store, inbox_of(settings, ledger) as inbox:
                    store.migrate()
                    async with running_writer(inbox, store, batch_bytes=settings.batch_bytes) as writer:
                        admission = admission_to(inbox, settings, ledger)
                        app.state.store, app.state.inbox, app.state.admission = store, inbox, admission
                        app.state.grpc_port = grpc.port
                        app.state.readiness = [lambda: inbox.trouble, lambda: writer.trouble]
                        async with learning_prices(store), giving_memory_back(ledger), grpc.serving(admission):
                            yield

    app = FastAPI(title="Backtrail", version=version("backtrail-server"), lifespan=lifespan, redirect_slashes=False)
    app.router.routes.extend(backtrail_ingest.create_router().routes)
    app.include_router(backtrail_query.create_router())
    backtrail_query.errors.install(app)
    return app


def inbox_of(settings: Settings, ledger: Ledger) -> AbstractContextManager[Inbox]:
    return open_inbox(
        settings.inbox_path,
        max_bytes=settings.inbox_bytes,
        disk_reserve=settings.disk_reserve_bytes,
        ledger=ledger,
    )


def admission_to(inbox: Inbox, settings: Settings, ledger: Ledger) -> Admission:
    return Admission(
        inbox,
        ledger,
        max_request_bytes=settings.max_request_bytes,
        max_bytes_in_flight=settings.max_bytes_in_flight,
        retry_after=settings.retry_after,
    )


def grpc_receiver(settings: Settings) -> GrpcReceiver:
    return GrpcReceiver(host=settings.host, port=settings.grpc_port, max_request_bytes=settings.max_request_bytes)
