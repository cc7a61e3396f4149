"""Sends traces and logs with the official OpenTelemetry Python SDK, as a service of a user would.

Prints one JSON object: {"trace_ids": [..], "spans": n, "logs": n}. Each trace has three spans and one log record.
Ends with status 1, and says why on stderr, when an export was refused.
"""

import argparse
import json
import logging
import sys

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from sender import SPANS_PER_TRACE, exporters, send


class Refusals(logging.Handler):
    """The SDK drops what it cannot export and only logs it: collect those lines, for a test must see them."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


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
    # gRPC metadata names are lower case
    headers = {"authorization": f"Bearer {options.key}"} if options.key else {}
    is_grpc = options.protocol == "grpc"
    endpoint = options.endpoint_grpc if is_grpc else options.endpoint_http
    span_exporter, log_exporter = exporters(options.protocol, endpoint, zipped=not is_grpc, headers=headers)
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
