"""OTLP/JSON becomes protobuf before anybody looks at it; the signal's message class says which fields there are.

    http_receiver → **otlp_json** → admission → inspection → inbox

OTLP's JSON is not protobuf's own: ids are hex, enums are numbers (a known name is taken too), unknown keys are skipped.
A key that stands twice is refused, because readers differ about which one counts.
"""

import json
from collections.abc import Callable
from functools import cache
from reprlib import Repr
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from backtrail_ingest.errors import RequestTooLarge, UndecodableRequest
from backtrail_ingest.receivers.json_scalars import scalar_reader

MAX_DEPTH = 100  # as deep as protobuf's C parser follows messages
MAX_VALUES = 4_000_000  # one takes up to 200 bytes while it is converted

shown = Repr()
shown.maxstring = shown.maxlong = shown.maxother = 60
shown.maxlevel, shown.maxlist, shown.maxdict = 1, 2, 2

Writer = Callable[[Any, Any, int], None]


class Misfit(ValueError):
    """A value that does not fit its field. Gathers the path to it on its way up."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.path = ""

    def at(self, step: str) -> "Misfit":
        self.path = step + self.path
        return self

    def __str__(self) -> str:
        return f"{self.path.lstrip('.') or 'the body'}: {self.args[0]}"


def to_protobuf(message_class: type[Message], body: bytes) -> bytes:
    """The same request as protobuf. Takes several times the body's memory, and 3 µs for an attribute."""
    # Each value stands behind one of these, so this bounds what the parser may build; text seldom holds as many.
    if body.count(b",") + body.count(b"{") + body.count(b"[") > MAX_VALUES:
        raise RequestTooLarge(f"the JSON may hold more than {MAX_VALUES} values: send smaller batches")
    request = message_class()
    try:
        members = json.loads(body, object_pairs_hook=object_of)
        fill(request, members, 1)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UndecodableRequest(f"{len(body)} bytes are not JSON: {error}") from error
    except RecursionError as error:
        raise UndecodableRequest("the JSON is nested too deep: values may go 40 levels deep") from error
    except ValueError as error:
        reason = str(error).partition("; use sys.")[0]  # which is no advice for a sender
        raise UndecodableRequest(f"the JSON is not an {request.DESCRIPTOR.name}: {reason}") from error
    if members and not members.keys() & writers_of(request.DESCRIPTOR).keys():
        wanted = " or ".join(writers_of(request.DESCRIPTOR))
        raise UndecodableRequest(f"the JSON is not an {request.DESCRIPTOR.name}: it holds no {wanted}")
    return request.SerializeToString()


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {shown.repr(twice)} stands twice in one object")
    return members


def fill(message: Message, members: Any, depth: int) -> None:
    if type(members) is not dict:
        raise Misfit(f"an object belongs here, not {shown.repr(members)}")
    if depth > MAX_DEPTH:
        raise RecursionError
    writers = writers_of(message.DESCRIPTOR)
    for key, value in members.items():
        write = writers.get(key)
        if write is None:
            if "\0" in key:
                raise Misfit(f"the key {shown.repr(key)} holds a NUL")
        elif value is not None:
            try:
                write(message, value, depth)
            except Misfit as misfit:
                raise misfit.at(f".{key}") from None


@cache
def writers_of(message: Descriptor) -> dict[str, Writer]:
    return {field.json_name: writer_of(field) for field in message.fields}


def writer_of(field: FieldDescriptor) -> Writer:
    is_message = field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE
    if field.is_repeated:
        return children_writer(field.name) if is_message else scalars_writer(field)
    write = child_writer(field.name) if is_message else scalar_writer(field)
    return write if field.containing_oneof is None else alone(field.containing_oneof.name, write)


def child_writer(name: str) -> Writer:
    def write(message: Any, members: Any, depth: int) -> None:
        child = getattr(message, name)
        child.SetInParent()
        fill(child, members, depth + 1)

    return write


def children_writer(name: str) -> Writer:
    def write(message: Any, elements: Any, depth: int) -> None:
        if type(elements) is not list:
            raise Misfit(f"an array belongs here, not {shown.repr(elements)}")
        add = getattr(message, name).add
        for index, members in enumerate(elements):
            try:
                fill(add(), members, depth + 1)
            except Misfit as misfit:
                raise misfit.at(f"[{index}]") from None

    return write


def scalar_writer(field: FieldDescriptor) -> Writer:
    name, read = field.name, scalar_reader(field)

    def write(message: Any, value: Any, _depth: int) -> None:
        try:
            setattr(message, name, read(value))
        except ValueError as error:
            raise Misfit(f"{error}, not {shown.repr(value)}") from error

    return write


def scalars_writer(field: FieldDescriptor) -> Writer:
    name, read = field.name, scalar_reader(field)

    def write(message: Any, elements: Any, _depth: int) -> None:
        if type(elements) is not list:
            raise Misfit(f"an array belongs here, not {shown.repr(elements)}")
        try:
            getattr(message, name).extend(read(element) for element in elements)
        except ValueError as error:
            raise Misfit(f"{error}, in {shown.repr(elements)}") from error

    return write


def alone(oneof: str, write: Writer) -> Writer:
    def write_alone(message: Any, value: Any, depth: int) -> None:
        if message.WhichOneof(oneof) is not None:
            raise Misfit("there is a value of another kind beside it")
        write(message, value, depth)

    return write_alone
