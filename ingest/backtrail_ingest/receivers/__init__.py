"""From the socket to a body: OTLP over HTTP and gRPC, its encodings, and its answers."""
