// Sends traces and logs with the official OpenTelemetry Go SDK, as a service of a user would.
//
// The argument is a JSON list of rows {run, protocol, compression, endpoint}; each row is a service of its own, named
// by its run, with exporters of its own. A few traces a second go out until standard input ends, or until there were as
// many as the row says in "traces"; what was sent is then flushed and printed: a JSON list of {run, spans, logs}.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	spansPerTrace = 3
	pause         = 100 * time.Millisecond
	// Short, so that exports are under way at every moment.
	batchEvery = 200 * time.Millisecond
	// One export with all its retries; the SDK's default of 10 s may end before the second retry.
	exportTimeout = 30 * time.Second
	shutdownLimit = 40 * time.Second
)

type row struct {
	Run         string `json:"run"`
	Protocol    string `json:"protocol"`
	Compression string `json:"compression"`
	Endpoint    string `json:"endpoint"`
	Traces      int    `json:"traces"`
}

type tally struct {
	Run   string `json:"run"`
	Spans int    `json:"spans"`
	Logs  int    `json:"logs"`
}

func exporters(ctx context.Context, to row) (sdktrace.SpanExporter, sdklog.Exporter, error) {
	if to.Protocol == "grpc" {
		spanOptions := []otlptracegrpc.Option{
			otlptracegrpc.WithEndpointURL(to.Endpoint), otlptracegrpc.WithTimeout(exportTimeout),
		}
		logOptions := []otlploggrpc.Option{
			otlploggrpc.WithEndpointURL(to.Endpoint), otlploggrpc.WithTimeout(exportTimeout),
		}
		if to.Compression == "gzip" {
			spanOptions = append(spanOptions, otlptracegrpc.WithCompressor("gzip"))
			logOptions = append(logOptions, otlploggrpc.WithCompressor("gzip"))
		}
		spans, err := otlptracegrpc.New(ctx, spanOptions...)
		if err != nil {
			return nil, nil, err
		}
		logs, err := otlploggrpc.New(ctx, logOptions...)
		return spans, logs, err
	}
	spanOptions := []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(to.Endpoint + "/v1/traces"), otlptracehttp.WithTimeout(exportTimeout),
	}
	logOptions := []otlploghttp.Option{
		otlploghttp.WithEndpointURL(to.Endpoint + "/v1/logs"), otlploghttp.WithTimeout(exportTimeout),
	}
	if to.Compression == "gzip" {
		spanOptions = append(spanOptions, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
		logOptions = append(logOptions, otlploghttp.WithCompression(otlploghttp.GzipCompression))
	}
	spans, err := otlptracehttp.New(ctx, spanOptions...)
	if err != nil {
		return nil, nil, err
	}
	logs, err := otlploghttp.New(ctx, logOptions...)
	return spans, logs, err
}

// One trace: a request, the lookup below it and the statement below that, with a log line from the lookup.
func send(tracer trace.Tracer, logger log.Logger, number int) {
	ctx, root := tracer.Start(context.Background(), "GET /e2e/{number}", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", "GET"), attribute.Int("e2e.number", number)))
	ctx, lookup := tracer.Start(ctx, "lookup", trace.WithAttributes(attribute.String("user.id", fmt.Sprint("user-", number))))
	var line log.Record
	line.SetTimestamp(time.Now())
	line.SetSeverity(log.SeverityWarn)
	line.SetSeverityText("WARN")
	line.SetBody(attribute.StringValue(fmt.Sprintf("lookup %d took a detour", number)))
	logger.Emit(ctx, line)
	_, leaf := tracer.Start(ctx, "SELECT things", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "postgresql")))
	leaf.End()
	lookup.End()
	root.End()
}

func serve(to row, ended <-chan struct{}) (tally, error) {
	ctx := context.Background()
	spanExporter, logExporter, err := exporters(ctx, to)
	if err != nil {
		return tally{}, err
	}
	service := resource.NewSchemaless(attribute.String("service.name", to.Run))
	spans := sdktrace.NewTracerProvider(sdktrace.WithResource(service),
		sdktrace.WithBatcher(spanExporter, sdktrace.WithBatchTimeout(batchEvery), sdktrace.WithExportTimeout(exportTimeout)))
	logs := sdklog.NewLoggerProvider(sdklog.WithResource(service), sdklog.WithProcessor(sdklog.NewBatchProcessor(logExporter,
		sdklog.WithExportInterval(batchEvery), sdklog.WithExportTimeout(exportTimeout))))
	tracer, logger := spans.Tracer("e2e"), logs.Logger("e2e")
	sent := tally{Run: to.Run}
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for going := true; going; {
		select {
		case <-ended:
			going = false
		case <-ticker.C:
			send(tracer, logger, sent.Logs)
			sent.Spans += spansPerTrace
			sent.Logs++
			going = sent.Logs != to.Traces
		}
	}
	limited, cancel := context.WithTimeout(ctx, shutdownLimit)
	defer cancel()
	if err := spans.Shutdown(limited); err != nil {
		return sent, err
	}
	return sent, logs.Shutdown(limited)
}

func main() {
	var rows []row
	if err := json.NewDecoder(strings.NewReader(os.Args[1])).Decode(&rows); err != nil {
		fmt.Fprintln(os.Stderr, "the argument is a JSON list of rows:", err)
		os.Exit(2)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	tallies, failures := make([]tally, len(rows)), make([]error, len(rows))
	var all sync.WaitGroup
	for number, to := range rows {
		all.Go(func() { tallies[number], failures[number] = serve(to, ended) })
	}
	all.Wait()
	for number, failure := range failures {
		if failure != nil {
			fmt.Fprintln(os.Stderr, rows[number].Run, failure)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(tallies); err != nil {
		os.Exit(1)
	}
}
