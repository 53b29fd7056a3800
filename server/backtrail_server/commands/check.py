"""backtrail-server check: say what is there and whether it works; with --soak, try it.

    cli → **check** → control → admin.check (a running server), or the folder itself without one
                    → soak

Exit code 0: ready or degraded, and no mismatch; 1: not ready, or a mismatch.
"""

import asyncio
import secrets
from argparse import Namespace
from contextlib import AbstractAsyncContextManager, closing
from typing import TYPE_CHECKING

import httpx

from backtrail_server.flags import Commands, add_command
from backtrail_server.settings import Settings

if TYPE_CHECKING:
    from backtrail_server.auth.keyring import KeyRing
    from backtrail_server.checkup import Checkup
    from backtrail_store import Store

SEEDS = 1_000_000


def add_to(commands: Commands) -> None:
    parser = add_command(commands, "check", "say what is there and whether it works; --soak tries it", run)
    parser.add_argument(
        "--soak",
        type=float,
        metavar="SECONDS",
        help="write runs for so long, read them back by id, by search and by aggregate, and count every mismatch; "
        "they stay in the store, under a service.name of their own",
    )
    parser.add_argument("--url", help="soak the server at this address (default: the one that owns the data folder)")
    parser.add_argument(
        "--key", dest="soak_key", help="the key to soak with; its project gets the runs (default: BACKTRAIL_KEY)"
    )
    parser.add_argument("--seed", type=int, help="write the same runs as a soak before (default: by chance)")


def run(settings: Settings, options: Namespace) -> int:
    if options.soak is not None:
        return asyncio.run(soak(settings, options))
    return asyncio.run(check(settings))


async def check(settings: Settings) -> int:
    from backtrail_server.checkup import Checkup, lines
    from backtrail_server.control import ask, control_client
    from backtrail_server.folder import check_folder, is_owned

    check_folder(settings.data)
    if is_owned(settings.data):
        async with control_client(settings) as client:
            checkup = Checkup.model_validate(await ask(client, "GET", "/api/v1/check"))
    else:
        checkup = await look_at_folder(settings)
    print("\n".join(lines(checkup)))
    return 1 if checkup.status == "not ready" else 0


async def look_at_folder(settings: Settings) -> "Checkup":
    """Nothing is changed: no schema is brought up to date, and what waits in the inbox goes on waiting."""
    from prometheus_client import CollectorRegistry

    from backtrail_ingest import Ledger
    from backtrail_server.app import inbox_of, store_of
    from backtrail_server.checkup import look
    from backtrail_server.folder import keep_temporary_files_in, owned_folder
    from backtrail_server.probes import probes_of
    from backtrail_server.readiness import Readiness

    ledger = Ledger(CollectorRegistry())
    with owned_folder(settings.data) as folder:
        keep_temporary_files_in(folder)
        with store_of(settings) as store, inbox_of(settings, ledger) as inbox:
            probes = probes_of(settings, store=store, inbox=inbox, ledger=ledger)
            with closing(Readiness(probes)) as readiness:
                return await look(settings, readiness, store=store, inbox=inbox, keyring=keyring_of(settings, store))


def keyring_of(settings: Settings, store: "Store") -> "KeyRing | None":
    """None for a store whose schema knows no keys yet."""
    from backtrail_server.auth.keyring import KeyRing
    from backtrail_store import StoreError

    try:
        return KeyRing(store, settings.key.get_secret_value())
    except StoreError:
        return None


async def soak(settings: Settings, options: Namespace) -> int:
    from backtrail_server.soak import Soak, SoakStopped

    seed = secrets.randbelow(SEEDS) if options.seed is None else options.seed
    async with soaked(settings, options) as client:
        soak = Soak(client, seed=seed, seconds=options.soak)
        print(f"seed {seed}, service.name {soak.service}", flush=True)
        try:
            await soak.run()
        except SoakStopped as stopped:
            print(f"stopped: {stopped}")
        print("\n".join(soak.tally.lines()))
    return 0 if soak.is_passed else 1


def soaked(settings: Settings, options: Namespace) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    from backtrail_server.control import control_client

    if options.url is None:
        return control_client(settings)
    key = options.soak_key or settings.key.get_secret_value()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(base_url=options.url, headers=headers, timeout=30)
