"""Bodies in pieces of any size come out as they went in; what is no such stream is refused."""

import gzip
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrail_ingest.errors import UndecodableRequest
from backtrail_ingest.receivers.decompression import PIECE, decompress

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODE: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}


async def pieces_of(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def decompressed(encoding: str, *pieces: bytes) -> bytes:
    return b"".join([piece async for piece in decompress(pieces_of(pieces), encoding)])


@pytest.mark.parametrize("encoding", ENCODE)
@pytest.mark.parametrize("size", [0, 1, 1000, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
@pytest.mark.parametrize("piece", [1, 7, 4096, 100_000])
async def test_what_went_in_comes_out(encoding: str, size: int, piece: int) -> None:
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    encoded = ENCODE[encoding](body)
    pieces = [encoded[start : start + piece] for start in range(0, len(encoded), piece)]

    assert await decompressed(encoding, *pieces, b"") == body


@pytest.mark.parametrize("encoding", ENCODE)
async def test_no_more_than_a_piece_comes_out_at_a_time(encoding: str) -> None:
    bomb = ENCODE[encoding](bytes(20 * PIECE))

    async for piece in decompress(pieces_of([bomb]), encoding):
        assert len(piece) <= PIECE


@pytest.mark.parametrize("encoding", ENCODE)
async def test_bytes_after_the_end_are_refused_wherever_they_come(encoding: str) -> None:
    encoded = ENCODE[encoding](b"body")
    for pieces in ([encoded + b"x"], [encoded, b"x"], [encoded, b"", b"x"]):
        with pytest.raises(UndecodableRequest, match="after the end"):
            await decompressed(encoding, *pieces)


@pytest.mark.parametrize("encoding", ENCODE)
@given(st.lists(st.binary(max_size=50), max_size=5))
async def test_t18_anything_else_is_refused(encoding: str, pieces: list[bytes]) -> None:
    with suppress(UndecodableRequest):
        await decompressed(encoding, *pieces)


@pytest.mark.parametrize("encoding", ENCODE)
@given(place=st.integers(0, 200), damage=st.binary(max_size=3))
async def test_t18_a_damaged_stream_is_refused_or_told_apart(encoding: str, place: int, damage: bytes) -> None:
    encoded = bytearray(ENCODE[encoding](b"a body of some length, which has to be compressed somehow" * 3))
    encoded[place : place + len(damage)] = damage

    with suppress(UndecodableRequest):
        await decompressed(encoding, bytes(encoded))
