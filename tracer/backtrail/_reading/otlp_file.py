"""Files of OTLP requests: lines of JSON, as the Collector's file exporter writes them, or protobuf with lengths.

exchange → **otlp_file** → FILE → **otlp_file** → otlp_split → exchange
"""

from collections.abc import Iterator
from typing import IO, Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic_core import from_json

from backtrail._reading.answers import OtlpForm
from backtrail._reading.otlp_split import OtlpRequest, split_json, split_protobuf

LONGEST_LENGTH = 5  # bytes, for a message of 32 GB


class UnreadableFile(ValueError):
    """The file is not what it should be; the message says where."""


def written(body: bytes, form: OtlpForm) -> bytes:
    """One request as it stands in a file."""
    return body + b"\n" if form == "json" else _varint(len(body)) + body


def requests_in(file: IO[bytes]) -> Iterator[OtlpRequest]:
    """Raises UnreadableFile, after what could be read."""
    first = file.read(1)
    if first in b"{ \r\n":
        yield from _json_requests(first, file)
    else:
        yield from _protobuf_requests(first, file)


def _json_requests(first: bytes, file: IO[bytes]) -> Iterator[OtlpRequest]:
    line, number = first + file.readline(), 1
    while line:
        if line.strip():
            yield from split_json(_document(line, number, file))
        line, number = file.readline(), number + 1


def _document(line: bytes, number: int, file: IO[bytes]) -> dict[str, Any]:
    """The line's, or that of the whole file if its first line is not one by itself."""
    try:
        document = from_json(line)
    except ValueError as error:
        if number > 1:
            raise UnreadableFile(f"line {number} is not JSON: {error}") from error
        try:
            document = from_json(line + file.read())
        except ValueError as whole:
            raise UnreadableFile(f"it is neither lines of JSON nor one JSON document: {whole}") from whole
    if not isinstance(document, dict):
        raise UnreadableFile(f"line {number} is not an OTLP request, which would be an object")
    return document


def _protobuf_requests(first: bytes, file: IO[bytes]) -> Iterator[OtlpRequest]:
    number = 1
    while first:
        size = _length(first, file)
        body = file.read(size)
        if len(body) < size:
            raise UnreadableFile(f"message {number} is cut off: {size} bytes announced, {len(body)} there")
        try:
            request = ExportTraceServiceRequest.FromString(body)
        except DecodeError as error:
            raise UnreadableFile(f"message {number} is not an ExportTraceServiceRequest: {error}") from error
        yield from split_protobuf(request)
        first, number = file.read(1), number + 1


def _length(first: bytes, file: IO[bytes]) -> int:
    digits = bytearray(first)
    while digits[-1] & 0x80 and len(digits) < LONGEST_LENGTH and (byte := file.read(1)):
        digits += byte
    if digits[-1] & 0x80:
        raise UnreadableFile("it begins neither with a JSON object nor with the length of a protobuf message")
    return sum((digit & 0x7F) << 7 * place for place, digit in enumerate(digits))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*encoded, number))
