"""OTLP's own messages, with AnyValue changed for two readers. No generated code: the descriptors are copied and edited.

    body → **FlatRequest** (inspection) → fast path        body → **SlicedRequest** (flatten) → rewritten body

AnyValue is recursive and columns are not. `FlatRequest` knows values one level deep: what lies deeper misses a
*required* field there, so serialising the message in C is the check. `SlicedRequest` keeps arrays and maps
as slices of the body, which are decoded one by one and can be replaced by text.
"""

from collections.abc import Callable
from types import ModuleType
from typing import cast

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    Edition,
    FeatureSet,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

OTLP: tuple[ModuleType, ...] = (common_pb2, resource_pb2, trace_pb2, trace_service_pb2)
REQUEST = trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR.full_name
DEPTH = "backtrail/depth.proto"


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
    message: DescriptorProto, name: str, number: int, kind: FieldDescriptorProto.Type.ValueType, *, required: bool
) -> None:
    field = message.field.add(name=name, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL)
    if required:
        field.options.features.field_presence = FeatureSet.LEGACY_REQUIRED


def one_level_deep(field: FieldDescriptorProto) -> None:
    if field.name == "array_value":
        field.type_name = ".backtrail.TextArray"
    elif field.name == "kvlist_value":
        field.type_name = ".backtrail.Nothing"


def left_as_bytes(field: FieldDescriptorProto) -> None:
    if field.name in ("array_value", "kvlist_value"):
        field.type = FieldDescriptorProto.TYPE_BYTES
        field.ClearField("type_name")


def request_class(
    change: Callable[[FieldDescriptorProto], None],
) -> type[trace_service_pb2.ExportTraceServiceRequest]:
    """OTLP's ExportTraceServiceRequest with each field of AnyValue changed by `change`, in a pool of its own."""
    pool = DescriptorPool()
    pool.Add(depth_file())
    for module in OTLP:
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            if message.name == "AnyValue":
                file.dependency.append(DEPTH)
                for field in message.field:
                    change(field)
        pool.Add(file)
    message_class = GetMessageClass(pool.FindMessageTypeByName(REQUEST))
    return cast("type[trace_service_pb2.ExportTraceServiceRequest]", message_class)


FlatRequest = request_class(one_level_deep)
SlicedRequest = request_class(left_as_bytes)
