"""OTLP's own messages, changed for three ways of looking. No generated code: the descriptors are copied and edited.

    body → **FlatRequest**, **SizesRequest** → flatness        span → **SlicedRequest** → nested

AnyValue is recursive and columns are not. `FlatRequest` knows values one level deep: what lies deeper misses a
*required* field there, so serialising the message in C is the check. Its attributes are a map, which is the same on
the wire: a key that stands twice is lost there, and the size tells. `SizesRequest` leaves spans, resources and scopes
as bytes: how long each is tells most of the time that it is within every limit. `SlicedRequest` keeps lists and maps of
values as bytes, which are decoded one by one and can be replaced by text.
"""

from collections.abc import Callable
from types import ModuleType
from typing import TypeVar, cast

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    Edition,
    FeatureSet,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

OTLP: tuple[ModuleType, ...] = (
    common_pb2,
    resource_pb2,
    trace_pb2,
    trace_service_pb2,
    logs_pb2,
    logs_service_pb2,
)
ANY_VALUE = common_pb2.AnyValue.DESCRIPTOR.full_name
DEPTH = "backtrail/depth.proto"

M = TypeVar("M", bound=Message)


def depth_file() -> FileDescriptorProto:
    """`TextArray` takes strings only, `Nothing` takes no content at all: both by a required field."""
    file = FileDescriptorProto(name=DEPTH, package="backtrail", syntax="editions", edition=Edition.EDITION_2023)
    _add_field(file.message_type.add(name="Text"), "string_value", 1, FieldDescriptorProto.TYPE_STRING, required=True)
    texts = file.message_type.add(name="TextArray").field.add(name="values", number=1, type_name=".backtrail.Text")
    texts.label = FieldDescriptorProto.LABEL_REPEATED
    texts.type = FieldDescriptorProto.TYPE_MESSAGE
    _add_field(file.message_type.add(name="Nothing"), "never", 1000, FieldDescriptorProto.TYPE_BOOL, required=True)
    return file


def _add_field(
    message: DescriptorProto,
    name: str,
    number: int,
    kind: FieldDescriptorProto.Type.ValueType,
    *,
    required: bool = False,
) -> None:
    field = message.field.add(name=name, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL)
    if required:
        field.options.features.field_presence = FeatureSet.LEGACY_REQUIRED


def make_flat(message: DescriptorProto, full_name: str) -> None:
    for field in message.field:
        if field.name == "array_value":
            field.type_name = ".backtrail.TextArray"
        elif field.name == "kvlist_value":
            field.type_name = ".backtrail.Nothing"
        elif field.name == "attributes":
            entry = message.nested_type.add(name="AttributesEntry")
            entry.options.map_entry = True
            _add_field(entry, "key", 1, FieldDescriptorProto.TYPE_STRING)
            _add_field(entry, "value", 2, FieldDescriptorProto.TYPE_MESSAGE)
            entry.field[1].type_name = f".{ANY_VALUE}"
            field.type_name = f".{full_name}.AttributesEntry"


def leave_unread(message: DescriptorProto, full_name: str) -> None:
    for field in message.field:
        if field.name in ("resource", "scope", "spans", "log_records"):
            field.type = FieldDescriptorProto.TYPE_BYTES
            field.ClearField("type_name")


def leave_nested_as_bytes(message: DescriptorProto, full_name: str) -> None:
    for field in message.field:
        if full_name == ANY_VALUE and field.name in ("array_value", "kvlist_value"):
            field.type = FieldDescriptorProto.TYPE_BYTES
            field.ClearField("type_name")


def otlp_changed(change: Callable[[DescriptorProto, str], None]) -> DescriptorPool:
    """A pool of OTLP's messages, each changed by `change`."""
    pool = DescriptorPool()
    pool.Add(depth_file())
    for module in OTLP:
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        file.dependency.append(DEPTH)
        for message in file.message_type:
            _change_all(message, f"{file.package}.{message.name}", change)
        pool.Add(file)
    return pool


def _change_all(message: DescriptorProto, full_name: str, change: Callable[[DescriptorProto, str], None]) -> None:
    for nested in message.nested_type:
        _change_all(nested, f"{full_name}.{nested.name}", change)
    change(message, full_name)


def class_in(pool: DescriptorPool, original: type[M]) -> type[M]:
    return cast("type[M]", GetMessageClass(pool.FindMessageTypeByName(original.DESCRIPTOR.full_name)))


FLAT = otlp_changed(make_flat)
SIZES = otlp_changed(leave_unread)
SLICED = otlp_changed(leave_nested_as_bytes)

FlatRequest = class_in(FLAT, trace_service_pb2.ExportTraceServiceRequest)
FlatLogsRequest = class_in(FLAT, logs_service_pb2.ExportLogsServiceRequest)
SizesRequest = class_in(SIZES, trace_service_pb2.ExportTraceServiceRequest)
SizesLogsRequest = class_in(SIZES, logs_service_pb2.ExportLogsServiceRequest)
SlicedRequest = class_in(SLICED, trace_service_pb2.ExportTraceServiceRequest)
SlicedLogsRequest = class_in(SLICED, logs_service_pb2.ExportLogsServiceRequest)
