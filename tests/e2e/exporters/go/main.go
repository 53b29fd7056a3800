// Sends COUNT spans with OpenTelemetry's own Go exporter and everything at its default.
//
//	go run . http|grpc ENDPOINT COUNT
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func main() {
	ctx := context.Background()
	protocol, endpoint := os.Args[1], os.Args[2]
	count, err := strconv.Atoi(os.Args[3])
	check(err)

	var exporter *otlptrace.Exporter
	if protocol == "grpc" {
		exporter, err = otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint))
	} else {
		exporter, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint+"/v1/traces"))
	}
	check(err)

	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	tracer := provider.Tracer("go")
	for number := range count {
		attributes := trace.WithAttributes(attribute.Int("number", number), attribute.Float64("half", 0.5))
		_, span := tracer.Start(ctx, fmt.Sprintf("span %d", number), attributes)
		span.End()
	}
	check(provider.Shutdown(ctx))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
