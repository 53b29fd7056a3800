"""A tar file, written piece by piece while somebody reads it.

    contents → **archive** → admin.backup, commands.backup

First a header says who wrote it, last a manifest says what has to be in it: a backup that was cut off has none.
"""

import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel

HEADER, MANIFEST = "backtrail-backup.json", "backtrail-manifest.json"
FORMAT = 1
CHUNK = 1 << 20


class Header(BaseModel):
    """`schema_files` are the store's, all of which the reader has to know."""

    format: int
    backtrail_version: str
    created_time: str
    schema_files: list[str]


@dataclass(frozen=True, slots=True)
class Member:
    """A file or a symbolic link, and where it belongs in the data folder."""

    path: Path
    name: str


@dataclass(slots=True)
class Manifest:
    """Every file with its size and sha256, every symbolic link with its target."""

    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()


def archive(header: Header, members: Iterable[Member]) -> Iterator[bytes]:
    manifest = Manifest()
    yield from _text(HEADER, header.model_dump_json().encode())
    for member in members:
        if member.path.is_symlink():
            target = str(member.path.readlink())
            manifest.links[member.name] = target
            yield _head(member.name, kind=tarfile.SYMTYPE, target=target)
        else:
            yield from _file(member, manifest)
    yield from _text(MANIFEST, manifest.as_json())
    yield bytes(2 * tarfile.BLOCKSIZE)


def _file(member: Member, manifest: Manifest) -> Iterator[bytes]:
    size = member.path.stat().st_size
    yield _head(member.name, size=size)
    digest, left = sha256(), size
    with member.path.open("rb") as file:
        while left:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise EOFError(f"{member.path} became shorter while it was copied")
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
    yield _padding(size)
    manifest.files[member.name] = (size, digest.hexdigest())


def _text(name: str, content: bytes) -> Iterator[bytes]:
    yield _head(name, size=len(content)) + content + _padding(len(content))


def _head(name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mode = size, kind, target, 0o600
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
