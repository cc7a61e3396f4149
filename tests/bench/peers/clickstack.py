"""ClickStack on ClickHouse: its tables, and the queries its interface and the exporter's documentation ask.

The tables of `clickstack` are those for a ClickHouse without text indexes, with Bloom filters:
  hyperdxio/hyperdx docker/otel-collector/schema/seed/00005_otel_traces_compat.sql (7304556d1417)
  hyperdxio/hyperdx docker/otel-collector/schema/seed/00002_otel_logs_compat.sql (1ef63b10adaa)
The tables of `clickstack-text` are those ClickStack makes on ClickHouse 26.2 and later: the same columns with text
indexes, from the files of the same name without `_compat` (logs as ClickHouse printed them with its article on this
schema, July 2026; spans as others quote them from hyperdx 885d30c, ClickStack 2.39.1).
The table and view from trace to time are the exporter's:
  open-telemetry/opentelemetry-collector-contrib
  exporter/clickhouseexporter/internal/sqltemplates/traces_id_ts_lookup_table.sql (61540ced55e9)
  exporter/clickhouseexporter/internal/sqltemplates/traces_id_ts_lookup_mv.sql (57b29d741543)
Lookup of a trace as in exporter/clickhouseexporter/README.md, service map as in hyperdx
packages/app/src/hooks/useServiceMap.tsx without its sampling.

Left out in the peer's favour: the roll-up views of keys and values that ClickStack also fills on every insert. Left out
because a corpus has fixed times: the time to live.
"""

from sql import clause_between, text

SPANS = "otel_traces"
LOGS = "otel_logs"

SPAN_COLUMNS = """
    `Timestamp` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `TraceId` String CODEC(ZSTD(1)),
    `SpanId` String CODEC(ZSTD(1)),
    `ParentSpanId` String CODEC(ZSTD(1)),
    `TraceState` String CODEC(ZSTD(1)),
    `SpanName` LowCardinality(String) CODEC(ZSTD(1)),
    `SpanKind` LowCardinality(String) CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `ResourceAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ScopeName` String CODEC(ZSTD(1)),
    `ScopeVersion` String CODEC(ZSTD(1)),
    `SpanAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `Duration` UInt64 CODEC(ZSTD(1)),
    `StatusCode` LowCardinality(String) CODEC(ZSTD(1)),
    `StatusMessage` String CODEC(ZSTD(1)),
    `Events.Timestamp` Array(DateTime64(9)) CODEC(ZSTD(1)),
    `Events.Name` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Events.Attributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Links.TraceId` Array(String) CODEC(ZSTD(1)),
    `Links.SpanId` Array(String) CODEC(ZSTD(1)),
    `Links.TraceState` Array(String) CODEC(ZSTD(1)),
    `Links.Attributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `__hdx_materialized_rum.sessionId` String MATERIALIZED ResourceAttributes['rum.sessionId'] CODEC(ZSTD(1)),
    `SampleRate` UInt64 MATERIALIZED greatest(toUInt64OrZero(SpanAttributes['SampleRate']), 1) CODEC(T64, ZSTD(1)),
"""

SPAN_BLOOM_INDEXES = """
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_rum_session_id __hdx_materialized_rum.sessionId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1,
    INDEX idx_lower_span_name lower(SpanName) TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8
"""

SPAN_TEXT_INDEXES = """
    `ResourceAttributeItems` Array(String)
        ALIAS arrayMap((arr) -> concat(arr.1, '=', arr.2), ResourceAttributes::Array(Tuple(String, String))),
    `SpanAttributeItems` Array(String)
        ALIAS arrayMap((arr) -> concat(arr.1, '=', arr.2), SpanAttributes::Array(Tuple(String, String))),
    INDEX idx_trace_id TraceId TYPE text(tokenizer = 'array'),
    INDEX idx_rum_session_id __hdx_materialized_rum.sessionId TYPE text(tokenizer = 'array'),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE text(tokenizer = 'array'),
    INDEX idx_res_attr_items ResourceAttributeItems TYPE text(tokenizer = 'array'),
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE text(tokenizer = 'array'),
    INDEX idx_span_attr_items SpanAttributeItems TYPE text(tokenizer = 'array'),
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1,
    INDEX idx_lower_span_name SpanName TYPE text(tokenizer = 'splitByNonAlpha', preprocessor = lower(SpanName))
"""

SPAN_TABLE = """
CREATE TABLE otel_traces ({columns}{indexes})
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1
"""

TRACE_TABLE = """
CREATE TABLE otel_traces_trace_id_ts (
    TraceId String CODEC(ZSTD(1)),
    Start DateTime CODEC(Delta, ZSTD(1)),
    End DateTime CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Start)
ORDER BY (TraceId, Start)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1
"""

TRACE_VIEW = """
CREATE MATERIALIZED VIEW otel_traces_trace_id_ts_mv TO otel_traces_trace_id_ts
AS SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End
FROM otel_traces WHERE TraceId != '' GROUP BY TraceId
"""

LOG_COLUMNS = """
    `Timestamp` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `TraceId` String CODEC(ZSTD(1)),
    `SpanId` String CODEC(ZSTD(1)),
    `TraceFlags` UInt8,
    `SeverityText` LowCardinality(String) CODEC(ZSTD(1)),
    `SeverityNumber` UInt8,
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `Body` String CODEC(ZSTD(1)),
    `ResourceSchemaUrl` LowCardinality(String) CODEC(ZSTD(1)),
    `ResourceAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ScopeSchemaUrl` LowCardinality(String) CODEC(ZSTD(1)),
    `ScopeName` String CODEC(ZSTD(1)),
    `ScopeVersion` LowCardinality(String) CODEC(ZSTD(1)),
    `ScopeAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `LogAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `EventName` String CODEC(ZSTD(1)),
"""

# Each becomes a column of its own, filled by the server from the resource.
LOG_MATERIALIZED = [
    "k8s.cluster.name",
    "k8s.container.name",
    "k8s.deployment.name",
    "k8s.namespace.name",
    "k8s.node.name",
    "k8s.pod.name",
    "k8s.pod.uid",
    "deployment.environment.name",
]

LOG_BLOOM_INDEXES = """
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_log_attr_key mapKeys(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_log_attr_value mapValues(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_lower_body lower(Body) TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8
"""

LOG_TEXT_INDEXES = """
    `ResourceAttributeItems` Array(String)
        ALIAS arrayMap((arr) -> concat(arr.1, '=', arr.2), ResourceAttributes::Array(Tuple(String, String))),
    `ScopeAttributeItems` Array(String)
        ALIAS arrayMap((arr) -> concat(arr.1, '=', arr.2), ScopeAttributes::Array(Tuple(String, String))),
    `LogAttributeItems` Array(String)
        ALIAS arrayMap((arr) -> concat(arr.1, '=', arr.2), LogAttributes::Array(Tuple(String, String))),
    INDEX idx_trace_id TraceId TYPE text(tokenizer = 'array'),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE text(tokenizer = 'array'),
    INDEX idx_res_attr_items ResourceAttributeItems TYPE text(tokenizer = 'array'),
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE text(tokenizer = 'array'),
    INDEX idx_scope_attr_items ScopeAttributeItems TYPE text(tokenizer = 'array'),
    INDEX idx_log_attr_key mapKeys(LogAttributes) TYPE text(tokenizer = 'array'),
    INDEX idx_log_attr_items LogAttributeItems TYPE text(tokenizer = 'array'),
    INDEX idx_lower_body lower(Body) TYPE text(tokenizer = 'splitByNonAlpha')
"""

LOG_TABLE = """
CREATE TABLE otel_logs ({columns}{indexes})
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (toStartOfFiveMinutes(Timestamp), ServiceName, Timestamp)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1,
    enable_block_number_column = 1, enable_block_offset_column = 1
"""


class ClickStack:
    """The tables and queries with either kind of index."""

    spans = SPANS
    logs = LOGS

    def __init__(self, text_indexes):
        self.text_indexes = text_indexes

    def tables(self):
        materialized = "".join(
            f"`__hdx_materialized_{name}` LowCardinality(String)"
            f" MATERIALIZED ResourceAttributes['{name}'] CODEC(ZSTD(1)),\n"
            for name in LOG_MATERIALIZED
        )
        span_indexes = SPAN_TEXT_INDEXES if self.text_indexes else SPAN_BLOOM_INDEXES
        log_indexes = LOG_TEXT_INDEXES if self.text_indexes else LOG_BLOOM_INDEXES
        return [
            SPAN_TABLE.format(columns=SPAN_COLUMNS, indexes=span_indexes),
            TRACE_TABLE,
            TRACE_VIEW,
            LOG_TABLE.format(columns=LOG_COLUMNS + materialized, indexes=log_indexes),
        ]

    def span_source(self):
        """Nothing to work out: the corpus has the columns of the table."""
        return {}

    def trace(self, trace_id):
        return f"""
            WITH {text(trace_id)} AS trace_id,
                (SELECT min(Start) FROM otel_traces_trace_id_ts WHERE TraceId = trace_id) AS start,
                (SELECT max(End) + 1 FROM otel_traces_trace_id_ts WHERE TraceId = trace_id) AS end
            SELECT Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, Duration, StatusCode,
                StatusMessage, SpanAttributes, ResourceAttributes, Events.Name, Links.TraceId
            FROM otel_traces
            WHERE TraceId = trace_id AND Timestamp >= start AND Timestamp <= end"""

    def searches(self, wanted):
        """Queries over spans by the name under which their time is reported."""
        period = clause_between("Timestamp", wanted)
        return {
            "attribute_rare": newest_spans(period, self.attribute(wanted["rare"])),
            "attribute_common": newest_spans(period, self.attribute(wanted["common"])),
            "error_service": newest_spans(
                period, f"ServiceName = {text(wanted['service'])} AND StatusCode = 'Error'"
            ),
            "slow": newest_spans(period, f"Duration >= {int(wanted['slow_nanos'])}"),
            "service_map": service_map(period),
            "red": f"""
                SELECT ServiceName, SpanName, toStartOfInterval(toDateTime(Timestamp), INTERVAL 10 SECOND) AS at,
                    count(), countIf(StatusCode = 'Error'), quantiles(0.5, 0.95, 0.99)(Duration)
                FROM otel_traces WHERE {period} GROUP BY ServiceName, SpanName, at""",
        }

    def attribute(self, pair):
        """What the interface makes of a filter on an attribute, with either kind of index."""
        if self.text_indexes:
            return f"has(SpanAttributeItems, {text(pair['key'] + '=' + pair['value'])})"
        return f"SpanAttributes[{text(pair['key'])}] = {text(pair['value'])}"

    def log_searches(self, wanted):
        """Queries over logs: how many there are, and the newest of them."""
        conditions = {asked["name"]: self.body(asked["kind"], asked["asked"]) for asked in wanted["logs"]}
        period = clause_between("toStartOfFiveMinutes(Timestamp)", wanted, "toStartOfFiveMinutes")
        period += " AND " + clause_between("Timestamp", wanted)
        queries = {}
        for name, condition in conditions.items():
            queries[f"{name}_count"] = f"SELECT count() FROM otel_logs WHERE {period} AND {condition}"
            queries[f"{name}_newest"] = f"""
                SELECT Timestamp, ServiceName, SeverityText, Body FROM otel_logs
                WHERE {period} AND {condition}
                ORDER BY (toStartOfFiveMinutes(Timestamp), Timestamp) DESC LIMIT 100"""
        return queries

    def body(self, kind, asked):
        """A word in either case, a text or an expression as written: what is asked most cheaply of each."""
        if kind == "word":
            tokens = "hasAllTokens" if self.text_indexes else "hasToken"
            return f"{tokens}(lower(Body), lower({text(asked)}))"
        if kind == "text":
            like = asked.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            return f"Body LIKE {text('%' + like + '%')}"
        return f"match(Body, {text(asked)})"


def newest_spans(period, condition):
    return f"""
        SELECT Timestamp, TraceId, SpanId, ServiceName, SpanName, StatusCode, Duration
        FROM otel_traces WHERE {period} AND {condition} ORDER BY Timestamp DESC LIMIT 20"""


def service_map(period):
    return f"""
        WITH
            ServerSpans AS (
                SELECT TraceId AS traceId, ServiceName AS serviceName, ParentSpanId AS parentSpanId,
                    StatusCode AS statusCode
                FROM otel_traces WHERE {period} AND SpanKind IN ('Server', 'Consumer')
            ),
            ClientSpans AS (
                SELECT TraceId AS traceId, SpanId AS spanId, ServiceName AS serviceName
                FROM otel_traces WHERE {period} AND SpanKind IN ('Client', 'Producer')
            )
        SELECT ServerSpans.serviceName AS serverServiceName, ServerSpans.statusCode AS serverStatusCode,
            ClientSpans.serviceName AS clientServiceName, count(*) AS requestCount
        FROM ServerSpans LEFT JOIN ClientSpans
            ON ServerSpans.traceId = ClientSpans.traceId AND ServerSpans.parentSpanId = ClientSpans.spanId
        WHERE ClientSpans.serviceName IS NULL OR ServerSpans.serviceName != ClientSpans.serviceName
        GROUP BY serverServiceName, serverStatusCode, clientServiceName
        ORDER BY serverServiceName, serverStatusCode, clientServiceName"""
