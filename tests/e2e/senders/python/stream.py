"""Sends traces and logs with the official OpenTelemetry Python SDK for as long as it may.

The argument is a JSON list of rows {run, protocol, compression, endpoint}; each row is a service of its own, named by its
run, with exporters of its own. A few traces a second go out until standard input ends; what was sent is then flushed
and printed: a JSON list of {run, spans, logs}.
"""

import json
import sys
import threading

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from sender import SPANS_PER_TRACE, exporters, send

CLIENT_ADDRESS = "198.51.100.77"
PAUSE_SECONDS = 0.1
# short, so that exports are under way at every moment
BATCH_EVERY_MILLIS = 200
# one export with all its retries
EXPORT_TIMEOUT_SECONDS = 30


class Service:
    """One row: a service with its own providers."""

    def __init__(self, row):
        self.run = row["run"]
        self.traces = 0
        zipped = row["compression"] == "gzip"
        span_exporter, log_exporter = exporters(
            row["protocol"], row["endpoint"], zipped, timeout=EXPORT_TIMEOUT_SECONDS
        )
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
        send(self.tracer, self.logger, self.traces, CLIENT_ADDRESS)
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
