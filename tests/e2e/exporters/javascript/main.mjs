// Sends COUNT spans with OpenTelemetry's own JavaScript exporter and everything at its default.
//
//     node main.mjs protobuf|json ENDPOINT COUNT

import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";

const [encoding, endpoint, count] = process.argv.slice(2);
const exporter = new (encoding === "json" ? JsonExporter : ProtobufExporter)({ url: `${endpoint}/v1/traces` });

const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
const tracer = provider.getTracer("javascript");
for (let number = 0; number < Number(count); number++) {
  tracer.startSpan(`span ${number}`, { attributes: { number, "list.mixed": ["a", "b"], half: 0.5 } }).end();
}
await provider.shutdown();
