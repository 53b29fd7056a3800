"""A backup becomes a data folder: all of it, as it was written, or nothing.

    FILE → **restore** → DIR

Everything is unpacked beside the folder and takes its name at the end, so that a restore that was interrupted cannot be
mistaken for a data folder.
"""

import json
import os
import shutil
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from backtrail_server.backup.archive import CHUNK, FORMAT, HEADER, MANIFEST, Header, Manifest
from backtrail_server.backup.compression import ZstdError, new_file, opened_backup
from backtrail_server.errors import CommandFailed


def restore(file: Path, folder: Path, *, known_schema: list[str]) -> Header:
    """Raises CommandFailed, and then `folder` is as it was."""
    if not file.is_file():
        raise CommandFailed(f"{file} is not there, or is no file; it would be what `backtrail-server backup` wrote")
    if folder.exists() and any(folder.iterdir()):
        raise CommandFailed(f"{folder} is not empty; a backup is restored into a folder of its own")
    folder.parent.mkdir(parents=True, exist_ok=True)
    unpacked = folder.with_name(f"{folder.name}.restoring-{os.getpid()}")
    try:
        with opened_backup(file) as stream:
            header = unpack(stream, unpacked, known_schema=known_schema)
        os.sync()
        if folder.exists():
            folder.rmdir()
        unpacked.rename(folder)
    except (tarfile.TarError, ZstdError, EOFError) as error:
        raise CommandFailed(f"{file} is not a whole backup: {error}; nothing was restored") from error
    except OSError as error:
        raise CommandFailed(f"{file} could not be restored into {folder}: {error}; nothing was restored") from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    return header


def unpack(stream: IO[bytes], folder: Path, *, known_schema: list[str]) -> Header:
    """Raises CommandFailed if a byte is not as it was written."""
    seen = Manifest()
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        header = _header(tar, tar.next(), known_schema)
        while (member := tar.next()) is not None:
            if member.name == MANIFEST:
                _compare(seen, json.loads(_content(tar, member)))
                return header
            _extract(tar, member, folder, seen)
    raise CommandFailed("the backup ends too early: it was cut off while it was written; nothing was restored")


def _header(tar: tarfile.TarFile, member: tarfile.TarInfo | None, known_schema: list[str]) -> Header:
    try:
        if member is None or member.name != HEADER:
            raise CommandFailed("this is not a backup of Backtrail's: its first file is not the header")
        header = Header.model_validate_json(_content(tar, member))
    except ValidationError as error:
        raise CommandFailed(f"the backup's header cannot be read: {error.error_count()} faults") from error
    newer = sorted(set(header.schema_files) - set(known_schema))
    if header.format > FORMAT or newer:
        what = f"it has {', '.join(newer)}" if newer else f"its format is {header.format}, this one knows {FORMAT}"
        raise CommandFailed(f"the backup was made by a newer Backtrail ({header.backtrail_version}): {what}")
    return header


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, seen: Manifest) -> None:
    """`data_filter` refuses names and links that lead out of the folder."""
    safe = tarfile.data_filter(member, str(folder.absolute()))
    path = folder / safe.name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if member.issym():
        path.symlink_to(safe.linkname)
        seen.links[member.name] = member.linkname
        return
    source = tar.extractfile(member)
    if source is None:
        raise CommandFailed(f"the backup holds {member.name}, which is neither a file nor a link")
    digest, size = sha256(), 0
    with source, new_file(path) as target:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            size += target.write(chunk)
    seen.files[member.name] = (size, digest.hexdigest())


def _compare(seen: Manifest, manifest: dict[str, dict[str, object]]) -> None:
    wanted = {name: tuple(entry) for name, entry in manifest["files"].items() if isinstance(entry, list)}
    if wrong := [name for name, entry in wanted.items() if seen.files.get(name) != entry]:
        raise CommandFailed(
            f"{len(wrong)} files of the backup are not as they were written, {wrong[0]} among them; "
            "nothing was restored"
        )
    if set(seen.files) != set(wanted) or seen.links != manifest["links"]:
        raise CommandFailed("the backup holds files that its manifest does not name; nothing was restored")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    source = tar.extractfile(member)
    return source.read() if source is not None else b""
