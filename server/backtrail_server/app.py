"""Composes the app of its parts: create_app(settings), or create_guest_app(settings).

    whole    folder → gRPC port → store → keys → inbox → writer → receivers, query API
    ingest   the same without the query API
    query    store → keys → query API; no folder, no inbox, no gRPC port

They are opened in this order and closed in reverse: the writer stops before the inbox closes, the inbox before the
store, and the receivers before all of them.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, closing, nullcontext
from functools import partial
from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry, Counter

import backtrail_ingest
import backtrail_query
import backtrail_query.errors
from backtrail_ingest import Admission, GrpcReceiver, Inbox, Ledger, Limits, open_inbox, running_writer
from backtrail_query.routes import health
from backtrail_server import admin, api_docs, faults
from backtrail_server.auth.browsers import Names, is_loopback
from backtrail_server.auth.exposure import check_exposure
from backtrail_server.auth.gate import Gate
from backtrail_server.auth.keyring import KeyRing, refreshed
from backtrail_server.auth.routes import Routes
from backtrail_server.auth.rpc_gate import RpcGate
from backtrail_server.cors import Cors
from backtrail_server.erasing import finish_in_background
from backtrail_server.errors import CannotStart
from backtrail_server.folder import keep_temporary_files_in, owned_folder
from backtrail_server.front import router as front_router
from backtrail_server.memory import giving_memory_back
from backtrail_server.open_files import allow_connections
from backtrail_server.price_file import price_file, prices_of
from backtrail_server.pricing import learning_prices
from backtrail_server.probes import probes_of, store_probe
from backtrail_server.readiness import Readiness
from backtrail_server.readyz import router as readyz_router
from backtrail_server.reserve import release_reserve
from backtrail_server.retention import Retention, keeping_to
from backtrail_server.settings import Settings
from backtrail_server.tls import Tls
from backtrail_server.waiting import settle
from backtrail_store import Keeping, Store, is_embedded, open_store

# Whoever receives spans must not make any about it: each request would bring the next one.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


# For the description of the API, whose pages can then be given one; whether it is good is the gate's to say.
A_KEY = HTTPBearer(auto_error=False, description="a project's key, or the server's; docs/keys.md says more")


def create_app(settings: Settings, tls: Tls | None = None) -> FastAPI:
    """For a process of our own. Raises CannotStart if one part alone was asked for and the store is embedded."""
    if settings.only and is_embedded(settings.store_dsn):
        raise CannotStart(
            f"--only {settings.only} (or BACKTRAIL_ONLY) needs a ClickHouse server that processes can share, as in "
            "--store clickhouse://user:password@host:8123/database; an embedded store belongs to one process"
        )
    return create_query_app(settings) if settings.only == "query" else create_receiving_app(settings, tls)


def create_receiving_app(settings: Settings, tls: Tls | None) -> FastAPI:
    """With a gRPC port, a place for temporary files, and memory given back."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        prices = price_file(settings.prices)
        with owned_folder(settings.data) as folder:
            keep_temporary_files_in(folder)
            async with grpc_receiver(app, settings, tls) as grpc, opened_parts(app, settings) as admission:
                check_exposure(settings.host, app.state.keyring)
                app.state.grpc_port = grpc.port
                async with (
                    prices_of(prices, app.state.store),
                    giving_memory_back(admission.ledger),
                    grpc.serving(admission),
                ):
                    yield

    return app_living(lifespan, settings, receives=True, answers=settings.only != "ingest")


def create_query_app(settings: Settings) -> FastAPI:
    """Reads what others have written. It owns nothing, so there may be any number of it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened_store(app, settings) as store:
            check_exposure(settings.host, app.state.keyring)
            with closing(Readiness({"store": store_probe(store, reserve_bytes=0)})) as app.state.readiness:
                yield

    return app_living(lifespan, settings, receives=False, answers=True)


def create_guest_app(settings: Settings) -> FastAPI:
    """For somebody else's process, whose environment, memory and other ports are left alone."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        prices = price_file(settings.prices)
        with owned_folder(settings.data):
            async with opened_parts(app, settings), prices.kept(app.state.store) if prices else nullcontext():
                yield

    return app_living(lifespan, settings, receives=True, answers=True)


@asynccontextmanager
async def opened_store(app: FastAPI, settings: Settings) -> AsyncIterator[Store]:
    """With its schema as it has to be, and the keys that are in it."""
    app.state.registry, app.state.settings = CollectorRegistry(), settings
    app.state.denials = denials_in(app.state.registry)
    with store_of(settings) as store:
        if settings.only == "query":
            store.check_schema()
        else:
            store.migrate()
        app.state.store, app.state.keyring = store, KeyRing(store, settings.key.get_secret_value())
        async with refreshed(app.state.keyring, store):
            yield store


@asynccontextmanager
async def opened_parts(app: FastAPI, settings: Settings) -> AsyncIterator[Admission]:
    """Store, inbox and writer: what a process has that receives."""
    async with opened_store(app, settings) as store:
        ledger, app.state.folder = Ledger(app.state.registry), settings.data
        with inbox_of(settings, ledger) as inbox:
            async with running_writer(inbox, store, batch_bytes=settings.batch_bytes) as writer:
                admission = admission_to(inbox, settings, ledger)
                app.state.inbox, app.state.admission = inbox, admission
                app.state.settle = partial(settle, inbox)
                probes = probes_of(settings, store=store, inbox=inbox, ledger=ledger, writer=writer)
                app.state.retention = retention_of(store, settings)
                finish_in_background(store=store, inbox=inbox, ledger=ledger, folder=settings.data)
                with closing(Readiness(probes)) as app.state.readiness:
                    async with learning_prices(store), keeping_to(app.state.retention):
                        yield admission


def app_living(
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    settings: Settings,
    *,
    receives: bool,
    answers: bool,
) -> FastAPI:
    app = FastAPI(
        title="Backtrail",
        version=version("backtrail-server"),
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # api_docs has one that asks nobody else for its scripts
        redoc_url=None,
        telemetry=NO_TELEMETRY,
        dependencies=[Depends(A_KEY)],
    )
    if receives:
        app.router.routes.extend(backtrail_ingest.create_router().routes)
        app.include_router(admin.create_router())
    app.include_router(backtrail_query.create_router() if answers else health.router)
    app.include_router(readyz_router)
    app.include_router(api_docs.router)
    app.include_router(front_router)
    backtrail_query.errors.install(app)
    admin.install(app)
    faults.install(app, retry_after=settings.retry_after)
    app.add_middleware(Gate, routes=Routes(app), names=names_of(settings))
    app.add_middleware(Cors, origins=settings.origins)  # around the gate, whose refusals a page may read too
    return app


def denials_in(registry: CollectorRegistry) -> Counter:
    return Counter("backtrail_requests_denied", "Requests whose sender may not do this", ["reason"], registry=registry)


def names_of(settings: Settings) -> Names:
    return Names(is_loopback=is_loopback(settings.host), hosts=settings.host_names, origins=settings.origins)


def store_of(settings: Settings) -> AbstractContextManager[Store]:
    return open_store(settings.store_dsn, cluster=settings.cluster, silence_seconds=settings.silence_seconds)


def inbox_of(settings: Settings, ledger: Ledger) -> AbstractContextManager[Inbox]:
    return open_inbox(
        settings.inbox_path,
        max_bytes=settings.inbox_bytes,
        disk_reserve=settings.disk_reserve_bytes,
        release_reserve=partial(release_reserve, settings.data),
        ledger=ledger,
    )


def retention_of(store: Store, settings: Settings) -> Retention:
    return Retention(
        store=store,
        folder=settings.data,
        default=Keeping(settings.spans_days, settings.contents_days),
        disk_reserve=settings.disk_reserve_bytes,
        drops_oldest=settings.drop_oldest_when_full,
    )


def admission_to(inbox: Inbox, settings: Settings, ledger: Ledger) -> Admission:
    return Admission(
        inbox,
        ledger,
        max_request_bytes=settings.max_request_bytes,
        max_bytes_in_flight=settings.max_bytes_in_flight,
        retry_after=settings.retry_after,
        limits=Limits(
            attributes=settings.max_attributes,
            events=settings.max_events,
            links=settings.max_links,
            name_length=settings.max_name_length,
            value_bytes=settings.max_value_bytes,
        ),
    )


def grpc_receiver(app: FastAPI, settings: Settings, tls: Tls | None) -> GrpcReceiver:
    return GrpcReceiver(
        host=settings.host,
        port=settings.grpc_port,
        max_request_bytes=settings.max_request_bytes,
        max_connections=allow_connections(settings.max_connections),
        interceptors=[RpcGate(app.state)],
        credentials=tls.grpc_credentials() if tls else None,
    )
