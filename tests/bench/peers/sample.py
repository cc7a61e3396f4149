"""Writes a small synthetic corpus, so that the peers can be tried without the generator of the benchmark.

    python sample.py OUT_DIR [--spans 200000] [--logs 200000] [--seed 1]

The same seed gives the same rows. OUT_DIR/spans and OUT_DIR/logs have the columns of the exporter's otel_traces and
otel_logs, OUT_DIR/queries.json says what to look for, and OUT_DIR/lake/default/spans holds the same spans with the
columns that DuckDB is asked about in our own files.

A trace is one request from the gateway through a chain of services, each hop a client span and a server span. One
span in 5,000 carries the rare attribute value and one in four the common one.
"""

import argparse
import datetime
import json
import pathlib
import random

import pyarrow as pa
import pyarrow.parquet as pq

START_NANOS = 1_790_000_000 * 10**9
SPANS_PER_SECOND = 1_000
SPANS_PER_TRACE = 9
RARE = {"key": "user.id", "value": "user-rare"}
COMMON = {"key": "cloud.availability_zone", "value": "zone-a"}
SERVICES = [f"service-{number:02}" for number in range(20)]
OPERATIONS = ["GET /items", "GET /items/{id}", "POST /orders", "PUT /carts/{id}", "GET /users/{id}", "POST /login"]
WORDS = ["accepted", "cache", "order", "payment", "retry", "session", "shipped", "stock", "timeout", "updated"]
ENTRY_SEPARATOR = "\x1f"
ATTRIBUTES = pa.map_(pa.string(), pa.string())
TIME = pa.timestamp("ns", tz="UTC")

SPAN_SCHEMA = pa.schema([
    ("Timestamp", TIME),
    ("TraceId", pa.string()),
    ("SpanId", pa.string()),
    ("ParentSpanId", pa.string()),
    ("TraceState", pa.string()),
    ("SpanName", pa.string()),
    ("SpanKind", pa.string()),
    ("ServiceName", pa.string()),
    ("ResourceAttributes", ATTRIBUTES),
    ("ScopeName", pa.string()),
    ("ScopeVersion", pa.string()),
    ("SpanAttributes", ATTRIBUTES),
    ("Duration", pa.uint64()),
    ("StatusCode", pa.string()),
    ("StatusMessage", pa.string()),
    ("Events.Timestamp", pa.list_(TIME)),
    ("Events.Name", pa.list_(pa.string())),
    ("Events.Attributes", pa.list_(ATTRIBUTES)),
    ("Links.TraceId", pa.list_(pa.string())),
    ("Links.SpanId", pa.list_(pa.string())),
    ("Links.TraceState", pa.list_(pa.string())),
    ("Links.Attributes", pa.list_(ATTRIBUTES)),
])

LOG_SCHEMA = pa.schema([
    ("Timestamp", TIME),
    ("TraceId", pa.string()),
    ("SpanId", pa.string()),
    ("TraceFlags", pa.uint8()),
    ("SeverityText", pa.string()),
    ("SeverityNumber", pa.uint8()),
    ("ServiceName", pa.string()),
    ("Body", pa.string()),
    ("ResourceSchemaUrl", pa.string()),
    ("ResourceAttributes", ATTRIBUTES),
    ("ScopeSchemaUrl", pa.string()),
    ("ScopeName", pa.string()),
    ("ScopeVersion", pa.string()),
    ("ScopeAttributes", ATTRIBUTES),
    ("LogAttributes", ATTRIBUTES),
    ("EventName", pa.string()),
])

LAKE_SCHEMA = pa.schema([
    ("trace_id", pa.binary(16)),
    ("span_id", pa.binary(8)),
    ("parent_span_id", pa.binary(8)),
    ("name", pa.string()),
    ("service", pa.string()),
    ("start_time", TIME),
    ("duration_nanos", pa.int64()),
    ("status_code", pa.int8()),
    ("http.request.method", pa.string()),
    ("http.route", pa.string()),
    ("http.response.status_code", pa.int64()),
    ("user.id", pa.string()),
    ("attrs_rest", pa.list_(pa.field("item", pa.string(), nullable=False))),
])
PROMOTED = ("http.request.method", "http.route", "http.response.status_code", "user.id")


def main():
    parser = argparse.ArgumentParser(description="Writes a small synthetic corpus.")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--logs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    spans = [make_span(dice, trace, place) for trace, place in places(dice, arguments.spans)]
    logs = [make_log(dice, spans, number, arguments.logs) for number in range(arguments.logs)]
    write(arguments.out / "spans" / "000.parquet", spans, SPAN_SCHEMA)
    write(arguments.out / "logs" / "000.parquet", logs, LOG_SCHEMA)
    write(arguments.out / "lake/default/spans/000.parquet", [lake_row(span) for span in spans], LAKE_SCHEMA)
    (arguments.out / "queries.json").write_text(json.dumps(questions(dice, spans), indent=1))


def places(dice, spans):
    """The traces, each with the number of its span: id, start, and the services on the way."""
    for first in range(0, spans, SPANS_PER_TRACE):
        trace = {
            "id": dice.randbytes(16).hex(),
            "span_ids": [dice.randbytes(8).hex() for _ in range(SPANS_PER_TRACE)],
            "start": START_NANOS + first * 10**9 // SPANS_PER_SECOND + dice.randrange(10**6),
            "services": [SERVICES[0], *dice.sample(SERVICES[1:], SPANS_PER_TRACE // 2)],
            "operation": dice.choice(OPERATIONS),
            "failed_at": dice.randrange(SPANS_PER_TRACE) if dice.random() < 0.05 else SPANS_PER_TRACE,
        }
        for place in range(min(SPANS_PER_TRACE, spans - first)):
            yield trace, place


def make_span(dice, trace, place):
    """Even places are servers, odd places the client calls that lead to the next server."""
    is_server = place % 2 == 0
    service = trace["services"][place // 2]
    method, route = trace["operation"].split()
    start = trace["start"] + place * 200_000
    failed = place == trace["failed_at"]
    return {
        "Timestamp": start,
        "TraceId": trace["id"],
        "SpanId": trace["span_ids"][place],
        "ParentSpanId": trace["span_ids"][place - 1] if place else "",
        "TraceState": "",
        "SpanName": trace["operation"] if is_server else method,
        "SpanKind": "Server" if is_server else "Client",
        "ServiceName": service,
        "ResourceAttributes": resource(service),
        "ScopeName": "otel/http",
        "ScopeVersion": "1.4.0",
        "SpanAttributes": attributes(dice, method, route, failed),
        "Duration": int(dice.lognormvariate(16.5, 1.0)),
        "StatusCode": "Error" if failed else "Unset",
        "StatusMessage": "upstream failed" if failed else "",
        "Events.Timestamp": [start + 1_000] if failed else [],
        "Events.Name": ["exception"] if failed else [],
        "Events.Attributes": [[("exception.type", "TimeoutError"), ("exception.escaped", "true")]] if failed else [],
        "Links.TraceId": [],
        "Links.SpanId": [],
        "Links.TraceState": [],
        "Links.Attributes": [],
    }


def resource(service):
    return [
        ("service.name", service),
        ("service.version", "2.1.0"),
        ("deployment.environment.name", "production"),
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.name", f"{service}-7c9d"),
        ("telemetry.sdk.language", "go"),
    ]


def attributes(dice, method, route, failed):
    user = RARE["value"] if dice.random() < 1 / 5_000 else f"user-{dice.randrange(50_000)}"
    zone = COMMON["value"] if dice.random() < 0.25 else dice.choice(["zone-b", "zone-c", "zone-d"])
    return [
        ("http.request.method", method),
        ("http.route", route),
        ("http.response.status_code", "503" if failed else "200"),
        ("http.response.body.size", str(dice.randrange(200, 20_000))),
        ("url.path", route.replace("{id}", str(dice.randrange(100_000)))),
        ("url.scheme", "https"),
        ("server.address", "shop.internal"),
        ("client.address", f"10.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(256)}"),
        ("user_agent.original", f"shop-app/{dice.randrange(1, 9)}.0"),
        ("feature.new_cart", dice.choice(["true", "false"])),
        ("user.id", user),
        ("cloud.availability_zone", zone),
    ]


def make_log(dice, spans, number, count):
    span = spans[number * len(spans) // count]
    word = "circuitbreaker" if dice.random() < 1 / 2_000 else dice.choice(WORDS)
    severity = dice.choice([("INFO", 9), ("INFO", 9), ("DEBUG", 5), ("WARN", 13), ("ERROR", 17)])
    place = f"{dice.choice(WORDS)} {dice.choice(WORDS)}"
    return {
        "Timestamp": span["Timestamp"] + dice.randrange(10**6),
        "TraceId": span["TraceId"],
        "SpanId": span["SpanId"],
        "TraceFlags": 1,
        "SeverityText": severity[0],
        "SeverityNumber": severity[1],
        "ServiceName": span["ServiceName"],
        "Body": f"{word} while {place} for order-{dice.randrange(10**7):07} took {dice.randrange(900)} ms",
        "ResourceSchemaUrl": "",
        "ResourceAttributes": span["ResourceAttributes"],
        "ScopeSchemaUrl": "",
        "ScopeName": "logger",
        "ScopeVersion": "",
        "ScopeAttributes": [],
        "LogAttributes": [("code.function.name", f"handle_{word}"), ("thread.id", str(dice.randrange(64)))],
        "EventName": "",
    }


def lake_row(span):
    """The span as our own files have it: a promoted attribute in its column, the others as encoded entries."""
    known = dict(span["SpanAttributes"])
    return {
        "trace_id": bytes.fromhex(span["TraceId"]),
        "span_id": bytes.fromhex(span["SpanId"]),
        "parent_span_id": bytes.fromhex(span["ParentSpanId"]) or None,
        "name": span["SpanName"],
        "service": span["ServiceName"],
        "start_time": span["Timestamp"],
        "duration_nanos": span["Duration"],
        "status_code": 2 if span["StatusCode"] == "Error" else 0,
        **{key: int(known[key]) if key.endswith("status_code") else known[key] for key in PROMOTED},
        "attrs_rest": [entry(key, value) for key, value in span["SpanAttributes"] if key not in PROMOTED],
    }


def entry(key, value):
    tag = "i" if value.isdecimal() else "b" if value in ("true", "false") else "s"
    return f"{key}{ENTRY_SEPARATOR}{tag}{value}"


def questions(dice, spans):
    ids = sorted({span["TraceId"] for span in spans})
    last = max(span["Timestamp"] for span in spans)
    slow = sorted(span["Duration"] for span in spans)[-max(1, len(spans) // 1_000)]
    return {
        "trace_ids": dice.sample(ids, min(1_000, len(ids))),
        "missing_ids": [dice.randbytes(16).hex() for _ in range(1_000)],
        "rare": RARE,
        "common": COMMON,
        "service": SERVICES[3],
        "slow_nanos": slow,
        "term": "circuitbreaker",
        "substring": "while payment ti",
        "regex": "order-00[0-9]{3}77 took",
        "from": iso(START_NANOS),
        "to": iso(last + 10**9),
    }


def iso(nanos):
    return datetime.datetime.fromtimestamp(nanos // 10**9, datetime.UTC).isoformat().replace("+00:00", "Z")


def write(path, rows, schema):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")


if __name__ == "__main__":
    main()
