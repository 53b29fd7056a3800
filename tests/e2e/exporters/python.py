"""Sends COUNT spans with OpenTelemetry's own Python exporter and everything at its default.

python python.py http|grpc ENDPOINT COUNT
"""

import sys

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter


def exporter(protocol: str, endpoint: str) -> SpanExporter:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

        return GrpcExporter(endpoint)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

    return HttpExporter(f"{endpoint}/v1/traces")


def main(protocol: str, endpoint: str, count: str) -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter(protocol, endpoint)))
    tracer = provider.get_tracer("python")
    for number in range(int(count)):
        tracer.start_span(f"span {number}", attributes={"number": number, "half": 0.5}).end()
    provider.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
