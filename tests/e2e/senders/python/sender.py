"""Exporters of the official OpenTelemetry Python SDK, and what a service of a user would send with them."""

import time

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber

SPANS_PER_TRACE = 3


def exporters(protocol, endpoint, zipped, **settings):
    """Of spans and of log records, over grpc or http; settings are those that all four exporters know."""
    if protocol == "grpc":
        import grpc
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        settings["compression"] = grpc.Compression.Gzip if zipped else grpc.Compression.NoCompression
        settings |= {"endpoint": endpoint, "insecure": True}
        return OTLPSpanExporter(**settings), OTLPLogExporter(**settings)

    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    settings["compression"] = Compression.Gzip if zipped else Compression.NoCompression
    base = endpoint.rstrip("/")
    return (
        OTLPSpanExporter(endpoint=f"{base}/v1/traces", **settings),
        OTLPLogExporter(endpoint=f"{base}/v1/logs", **settings),
    )


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
