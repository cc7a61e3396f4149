"""Sends traces and logs with the official OpenTelemetry Python SDK for as long as it may.

The argument is a JSON list of rows {run, protocol, compression, endpoint}; each row is a service of its own, named by its
run, with exporters of its own. A few traces a second go out until standard input ends; what was sent is then flushed
and printed: a JSON list of {run, spans, logs}.
"""

import json
import sys
import threading
import time

import grpc
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

SPANS_PER_TRACE = 3
PAUSE_SECONDS = 0.1
# short, so that exports are under way at every moment
BATCH_EVERY_MILLIS = 200
# one export with all its retries
EXPORT_TIMEOUT_SECONDS = 30


def exporters(row):
    zipped = row["compression"] == "gzip"
    if row["protocol"] == "grpc":
        compression = grpc.Compression.Gzip if zipped else grpc.Compression.NoCompression
        settings = {"endpoint": row["endpoint"], "insecure": True, "timeout": EXPORT_TIMEOUT_SECONDS}
        return (
            GrpcSpanExporter(compression=compression, **settings),
            GrpcLogExporter(compression=compression, **settings),
        )
    settings = {
        "timeout": EXPORT_TIMEOUT_SECONDS,
        "compression": Compression.Gzip if zipped else Compression.NoCompression,
    }
    return (
        HttpSpanExporter(endpoint=f"{row['endpoint']}/v1/traces", **settings),
        HttpLogExporter(endpoint=f"{row['endpoint']}/v1/logs", **settings),
    )


def send(tracer, logger, number):
    """One trace: a request, the lookup below it and the statement below that, with a log line from the lookup."""
    attributes = {"http.request.method": "GET", "e2e.number": number}
    with tracer.start_as_current_span("GET /e2e/{number}", kind=trace.SpanKind.SERVER, attributes=attributes):
        with tracer.start_as_current_span("lookup", attributes={"user.id": f"user-{number}"}):
            logger.emit(
                LogRecord(
                    timestamp=time.time_ns(),
                    observed_timestamp=time.time_ns(),
                    context=trace.set_span_in_context(trace.get_current_span()),
                    severity_number=SeverityNumber.WARN,
                    severity_text="WARN",
                    body=f"lookup {number} took a detour",
                )
            )
            statement = {"db.system.name": "postgresql"}
            with tracer.start_as_current_span("SELECT things", kind=trace.SpanKind.CLIENT, attributes=statement):
                pass


class Service:
    """One row: a service with its own providers."""

    def __init__(self, row):
        self.run = row["run"]
        self.traces = 0
        span_exporter, log_exporter = exporters(row)
        resource = Resource.create({"service.name": self.run})
        self.spans = TracerProvider(resource=resource)
        self.spans.add_span_processor(BatchSpanProcessor(span_exporter, schedule_delay_millis=BATCH_EVERY_MILLIS))
        self.logs = LoggerProvider(resource=resource)
        self.logs.add_log_record_processor(
            BatchLogRecordProcessor(log_exporter, schedule_delay_millis=BATCH_EVERY_MILLIS)
        )
        self.tracer = self.spans.get_tracer("e2e")
        self.logger = self.logs.get_logger("e2e")

    def step(self):
        send(self.tracer, self.logger, self.traces)
        self.traces += 1

    def finish(self):
        self.spans.force_flush(EXPORT_TIMEOUT_SECONDS * 1_000)
        self.logs.force_flush(EXPORT_TIMEOUT_SECONDS * 1_000)
        self.spans.shutdown()
        self.logs.shutdown()
        return {"run": self.run, "spans": self.traces * SPANS_PER_TRACE, "logs": self.traces}


def main():
    services = [Service(row) for row in json.loads(sys.argv[1])]
    ended = threading.Event()

    def read_to_the_end():
        sys.stdin.read()
        ended.set()

    threading.Thread(target=read_to_the_end, daemon=True).start()
    while not ended.wait(PAUSE_SECONDS):
        for service in services:
            service.step()
    print(json.dumps([service.finish() for service in services]))


if __name__ == "__main__":
    main()
