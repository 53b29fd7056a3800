"""One JSON value becomes what a protobuf field of one kind takes; the readers of text, numbers, ids and bytes.

otlp_json → **json_scalars**
"""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from binascii import unhexlify
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

IDS = {"trace_id", "span_id", "parent_span_id"}
INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|-?Infinity|NaN", re.ASCII)
RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
STANDARD_ALPHABET = str.maketrans("-_", "+/")

Reader = Callable[[Any], Any]


def scalar_reader(field: FieldDescriptor) -> Reader:
    """The readers raise ValueError with what belongs there."""
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_STRING:
            return read_text
        case FieldDescriptor.CPPTYPE_STRING:
            return read_id if field.name in IDS else read_bytes
        case FieldDescriptor.CPPTYPE_BOOL:
            return read_bool
        case FieldDescriptor.CPPTYPE_DOUBLE:
            return read_double
        case FieldDescriptor.CPPTYPE_ENUM if field.enum_type is not None:
            return enum_reader(field.enum_type)
        case _:
            return integer_reader(*RANGES[field.cpp_type])


def read_text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("text belongs here")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a pair, as JavaScript leaves it when it cuts a text
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def read_id(value: Any) -> bytes:
    try:
        return unhexlify(value)
    except (ValueError, TypeError) as error:
        raise ValueError("an id in hex digits belongs here") from error


def read_bytes(value: Any) -> bytes:
    """Either alphabet, with or without the padding."""
    if type(value) is not str:
        raise ValueError("base64 belongs here")
    text = value.translate(STANDARD_ALPHABET).rstrip("=")
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (NotBase64, ValueError) as error:
        raise ValueError("base64 belongs here") from error


def read_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("true or false belongs here")
    return value


def read_double(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int or (type(value) is str and NUMBER.fullmatch(value)):
        try:
            return float(value)
        except OverflowError as error:
            raise ValueError("a number of 64 bits belongs here") from error
    raise ValueError("a number belongs here")


def integer_reader(least: int, most: int) -> Callable[[Any], int]:
    def read_integer(value: Any) -> int:
        if type(value) is int:
            number: int = value
        elif (type(value) is str and INTEGER.fullmatch(value)) or (type(value) is float and value.is_integer()):
            number = int(value)
        else:
            raise ValueError("an integer belongs here")
        if least <= number <= most:
            return number
        raise ValueError(f"an integer from {least} to {most} belongs here")

    return read_integer


def enum_reader(enum: EnumDescriptor) -> Reader:
    """A number, as OTLP wants it, or a name that we know."""
    read_number = integer_reader(*RANGES[FieldDescriptor.CPPTYPE_INT32])

    def read_enum(value: Any) -> int:
        if type(value) is not str or INTEGER.fullmatch(value):
            return read_number(value)
        if value in enum.values_by_name:
            return int(enum.values_by_name[value].number)
        raise ValueError(f"a {enum.name} belongs here")

    return read_enum
