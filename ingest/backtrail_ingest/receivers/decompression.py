"""Compressed bodies, piece by piece: the limit is met long before a bomb has gone off.

    http_receiver → **decompression** → http_receiver → admission

Large pieces are taken apart in a thread, since zlib and zstd let others run meanwhile. zlib-ng takes three
fifths of the standard library's time for OTLP, and for a bomb a fortieth.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from zlib_ng import zlib_ng as zlib

from backtrail_ingest.errors import UndecodableRequest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 1 << 20
SMALL_PIECE = 4096  # takes less time than going to a thread and back
ZSTD_WINDOW_LOG = 23  # 8 MiB, which RFC 8878 asks of every decoder


class Decoder(Protocol):
    """As the standard library's: what does not fit into `max_length` waits inside."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class GzipDecoder:
    """gzip and zlib alike: they differ in their first bytes. `deflate` means zlib in HTTP."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        decompressed = self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)
        self.needs_input = not self._decoder.unconsumed_tail and len(decompressed) < max_length
        return decompressed


def zstd_decoder() -> Decoder:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG})


DECODERS: dict[str, Callable[[], Decoder]] = {"gzip": GzipDecoder, "deflate": GzipDecoder, "zstd": zstd_decoder}


async def decompress(pieces: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    decoder = DECODERS[encoding]()
    try:
        async for piece in pieces:
            if piece and not decoder.eof:
                yield await decompress_some(decoder, piece)
                piece = b""
            while not (decoder.eof or decoder.needs_input):
                yield await decompress_some(decoder, b"")
            if piece or decoder.unused_data:
                raise UndecodableRequest("there are bytes after the end of the compressed body")
    except (zlib.error, zstd.ZstdError) as error:  # type: ignore[misc]  # its stubs call the class an instance
        raise UndecodableRequest(f"the body cannot be decompressed: {error}") from error
    if not decoder.eof:
        raise UndecodableRequest("the compressed body ends too early")


async def decompress_some(decoder: Decoder, piece: bytes) -> bytes:
    if decoder.needs_input and len(piece) <= SMALL_PIECE:
        return decoder.decompress(piece, PIECE)
    return await asyncio.to_thread(decoder.decompress, piece, PIECE)
