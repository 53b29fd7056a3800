"""What each message of OTLP holds, as its own descriptors say: which fields are text, which are messages.

opentelemetry.proto → **shapes** → flatten
"""

from dataclasses import dataclass, field

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from backtrail_ingest.requests.wire_fields import FIXED32, FIXED64, LENGTH_DELIMITED, VARINT

_WIRE_TYPES = {
    FieldDescriptor.TYPE_DOUBLE: FIXED64,
    FieldDescriptor.TYPE_FIXED64: FIXED64,
    FieldDescriptor.TYPE_FIXED32: FIXED32,
    FieldDescriptor.TYPE_BOOL: VARINT,
    FieldDescriptor.TYPE_ENUM: VARINT,
    FieldDescriptor.TYPE_INT32: VARINT,
    FieldDescriptor.TYPE_INT64: VARINT,
    FieldDescriptor.TYPE_UINT32: VARINT,
}
_SIGNED = (FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_INT32)
_NARROW = (*_SIGNED, FieldDescriptor.TYPE_UINT32)


@dataclass(frozen=True, slots=True)
class FieldShape:
    name: str
    number: int
    wire_type: int
    is_repeated: bool
    is_text: bool
    is_narrow: bool  # 32 bits of a number that the wire lets have 64
    is_signed: bool
    message: "Shape | None"


@dataclass(slots=True)
class Shape:
    """`dropped` leads from a repeated field to the one that counts what was left out of it."""

    name: str
    fields: dict[int, FieldShape] = field(default_factory=dict)
    dropped: dict[int, int] = field(default_factory=dict)


def shape_of(descriptor: Descriptor, known: dict[str, Shape]) -> Shape:
    if descriptor.full_name in known:
        return known[descriptor.full_name]
    shape = known[descriptor.full_name] = Shape(descriptor.name)
    for one in sorted(descriptor.fields, key=lambda one: one.number):
        shape.fields[one.number] = FieldShape(
            name=one.name,
            number=one.number,
            wire_type=_WIRE_TYPES.get(one.type, LENGTH_DELIMITED),
            is_repeated=one.is_repeated,
            is_text=one.type == FieldDescriptor.TYPE_STRING,
            is_narrow=one.type in _NARROW,
            is_signed=one.type in _SIGNED,
            message=shape_of(one.message_type, known) if one.message_type is not None else None,
        )
        if counter := descriptor.fields_by_name.get(f"dropped_{one.name}_count"):
            shape.dropped[one.number] = counter.number
    return shape


_KNOWN: dict[str, Shape] = {}
TRACES_REQUEST = shape_of(ExportTraceServiceRequest.DESCRIPTOR, _KNOWN)
LOGS_REQUEST = shape_of(ExportLogsServiceRequest.DESCRIPTOR, _KNOWN)
KEY_VALUE = shape_of(KeyValue.DESCRIPTOR, _KNOWN)
ANY_VALUE = shape_of(AnyValue.DESCRIPTOR, _KNOWN)
