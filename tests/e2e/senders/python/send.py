"""Sends traces and logs with the official OpenTelemetry Python SDK, as a service of a user would.

Prints one JSON object: {"trace_ids": [..], "spans": n, "logs": n}. Each trace has three spans and one log record.
Ends with status 1, and says why on stderr, when an export was refused.
"""

import argparse
import json
import logging
import sys
import time

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

SPANS_PER_TRACE = 3


class Refusals(logging.Handler):
    """The SDK drops what it cannot export and only logs it: collect those lines, for a test must see them."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def exporters(options):
    if options.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        # gRPC metadata names are lower case
        common = {"endpoint": options.endpoint_grpc, "insecure": True, "headers": headers(options)}
        return OTLPSpanExporter(**common), OTLPLogExporter(**common)

    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    base = options.endpoint_http.rstrip("/")
    common = {"headers": headers(options), "compression": Compression.Gzip}
    return (
        OTLPSpanExporter(endpoint=f"{base}/v1/traces", **common),
        OTLPLogExporter(endpoint=f"{base}/v1/logs", **common),
    )


def headers(options):
    return {"authorization": f"Bearer {options.key}"} if options.key else {}


def send(tracer, logger, number, address):
    """One trace: a request, the lookup below it and the statement below that, with a log line from the lookup."""
    attributes = {"http.request.method": "GET", "http.route": "/e2e/{number}", "client.address": address}
    with tracer.start_as_current_span("GET /e2e/{number}", kind=trace.SpanKind.SERVER, attributes=attributes) as root:
        root.set_attribute("e2e.number", number)
        with tracer.start_as_current_span("lookup", attributes={"user.id": f"user-{number}"}):
            logger.emit(
                LogRecord(
                    timestamp=time.time_ns(),
                    observed_timestamp=time.time_ns(),
                    context=trace.set_span_in_context(trace.get_current_span()),
                    severity_number=SeverityNumber.WARN,
                    severity_text="WARN",
                    body=f"lookup {number} took a detour",
                    attributes={"e2e.number": number},
                )
            )
            statement = {"db.system.name": "postgresql", "db.operation.name": "SELECT", "server.address": "db.example"}
            with tracer.start_as_current_span("SELECT things", kind=trace.SpanKind.CLIENT, attributes=statement) as leaf:
                if number % 10 == 9:
                    leaf.record_exception(TimeoutError("no answer from db.example"))
                    leaf.set_status(trace.Status(trace.StatusCode.ERROR, "timeout"))
        root.set_attribute("http.response.status_code", 200)
        return format(root.get_span_context().trace_id, "032x")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint-grpc", default="http://127.0.0.1:4317")
    parser.add_argument("--endpoint-http", default="http://127.0.0.1:4318")
    parser.add_argument("--key", default="", help="ingest key, sent as a bearer token; none is sent when empty")
    parser.add_argument("--traces", type=int, default=1)
    parser.add_argument("--protocol", choices=["grpc", "http"], default="grpc")
    parser.add_argument("--service", default="e2e-python")
    parser.add_argument("--client-address", default="198.51.100.77")
    options = parser.parse_args()

    refusals = Refusals()
    logging.getLogger("opentelemetry").addHandler(refusals)
    resource = Resource.create({"service.name": options.service, "service.version": "1.0.0"})
    span_exporter, log_exporter = exporters(options)
    spans = TracerProvider(resource=resource)
    spans.add_span_processor(BatchSpanProcessor(span_exporter, max_queue_size=1 << 16))
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(BatchLogRecordProcessor(log_exporter, max_queue_size=1 << 16))
    tracer = spans.get_tracer("e2e", "1.0.0")
    logger = logs.get_logger("e2e", "1.0.0")

    trace_ids = [send(tracer, logger, number, options.client_address) for number in range(options.traces)]
    flushed = spans.force_flush(30_000) and logs.force_flush(30_000)
    spans.shutdown()
    logs.shutdown()
    print(json.dumps({"trace_ids": trace_ids, "spans": options.traces * SPANS_PER_TRACE, "logs": options.traces}))
    if refusals.lines or not flushed:
        print("\n".join(refusals.lines) or "the flush timed out", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
