"""backtrail-server backup FILE: everything in the data folder as one file, while it is served or not.

cli → **backup** → control → admin.backup, or backup.contents where no server owns the folder
"""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from backtrail_server.flags import Commands, add_command
from backtrail_server.settings import Settings


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands, "backup", "write everything in the data folder into one file, while it is served", run
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what to write; compressed if it ends in .zst")


def run(settings: Settings, options: Namespace) -> int:
    asyncio.run(write(settings, options.file))
    size = options.file.stat().st_size
    print(f"{options.file}: {size:,} bytes; `backtrail-server restore {options.file} --data FOLDER` brings them back")
    return 0


async def write(settings: Settings, file: Path) -> None:
    from backtrail_server.backup.compression import created_backup
    from backtrail_server.errors import CommandFailed

    try:
        async with backup_of(settings) as pieces:
            with created_backup(file) as target:
                async for piece in pieces:
                    target.write(piece)
    except OSError as error:
        raise CommandFailed(f"{file} could not be written: {error.strerror or error}") from error


@asynccontextmanager
async def backup_of(settings: Settings) -> AsyncIterator[AsyncIterator[bytes]]:
    from backtrail_server.folder import check_folder, is_owned

    check_folder(settings.data)
    if is_owned(settings.data):
        async with backup_by_the_server(settings) as pieces:
            yield pieces
    else:
        yield backup_made_here(settings)


@asynccontextmanager
async def backup_by_the_server(settings: Settings) -> AsyncIterator[AsyncIterator[bytes]]:
    import httpx

    from backtrail_server.control import control_client
    from backtrail_server.errors import CommandFailed

    try:
        async with control_client(settings) as client, client.stream("GET", "/api/v1/backup") as answer:
            if answer.is_error:
                await answer.aread()
                raise CommandFailed(answer.json()["detail"])
            yield answer.aiter_raw()
    except httpx.TransportError as error:
        raise CommandFailed(f"the server ended before the backup did: {error or type(error).__name__}") from error


async def backup_made_here(settings: Settings) -> AsyncIterator[bytes]:
    from prometheus_client import CollectorRegistry

    from backtrail_ingest import Ledger
    from backtrail_server.app import inbox_of, store_of
    from backtrail_server.backup.contents import write_backup
    from backtrail_server.folder import keep_temporary_files_in, owned_folder

    with ExitStack() as stack:
        folder = stack.enter_context(owned_folder(settings.data))
        keep_temporary_files_in(folder)
        store = stack.enter_context(store_of(settings))
        store.migrate()
        inbox = stack.enter_context(inbox_of(settings, Ledger(CollectorRegistry())))
        for piece in write_backup(store, inbox, folder):
            yield piece
