"""Jaeger's own tables on ClickHouse, and the queries its reader asks.

Tables and views from jaegertracing/jaeger:
  internal/storage/v2/clickhouse/sql/000001_initial_schema.up.sql (6ede46e51807)
  internal/storage/v2/clickhouse/sql/000002_otlp_span_fields.up.sql (1f3bcbc18d07)
without the table `dependencies`, which a separate job fills. Queries as built by
  internal/storage/v2/clickhouse/tracestore/query_builder.go and internal/storage/v2/clickhouse/sql/queries.go.

Jaeger keeps attributes by type while the corpus has them as text: text that reads as an integer or a boolean is stored
as such, anything else as a string. This is worked out before anything is measured. Jaeger stores no logs. Its search
gives the ids of any twenty traces that match, not of the newest. It has no query for a service map or for rates that
covers every operation at once, so those two are the ones asked of ClickStack, on Jaeger's columns.
"""

from sql import clause_between, text

INTEGER = "^(0|-?[1-9][0-9]{0,17})$"
BOOLEAN = "^(true|false)$"

ATTRIBUTES = """
        {prefix}bool_attributes Nested (key String, value Bool),
        {prefix}double_attributes Nested (key String, value Float64),
        {prefix}int_attributes Nested (key String, value Int64),
        {prefix}str_attributes Nested (key String, value String),
        {prefix}complex_attributes Nested (key String, value String)"""

SPAN_TABLE = """
CREATE TABLE spans (
    id String,
    trace_id String,
    trace_state String,
    parent_span_id String,
    name String,
    kind String,
    start_time DateTime64 (9),
    status_code String,
    status_message String,
    duration Int64,
    {span},
    events Nested (
        name String,
        timestamp DateTime64 (9),
        {span}
    ),
    links Nested (
        trace_id String,
        span_id String,
        trace_state String,
        {span}
    ),
    service_name String,
    {resource},
    scope_name String,
    scope_version String,
    {scope},
    INDEX idx_trace_id trace_id TYPE bloom_filter GRANULARITY 1,
    INDEX idx_duration duration TYPE minmax GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY toDate(start_time)
ORDER BY (service_name, name, toDateTime(start_time))
"""

LATER_COLUMNS = [
    "resource_schema_url String",
    "scope_schema_url String",
    "flags UInt32",
    "dropped_attributes_count UInt32",
    "dropped_events_count UInt32",
    "dropped_links_count UInt32",
    "events.dropped_attributes_count Array(UInt32)",
    "links.dropped_attributes_count Array(UInt32)",
    "links.flags Array(UInt32)",
    "scope_dropped_attributes_count UInt32",
]

DERIVED = [
    "CREATE TABLE services (name String) ENGINE = AggregatingMergeTree ORDER BY (name)",
    "CREATE MATERIALIZED VIEW services_mv TO services AS SELECT service_name AS name FROM spans GROUP BY service_name",
    """CREATE TABLE operations (service_name String, name String, span_kind String)
        ENGINE = AggregatingMergeTree ORDER BY (service_name, span_kind)""",
    "CREATE MATERIALIZED VIEW operations_mv TO operations AS SELECT name, kind AS span_kind, service_name FROM spans",
    """CREATE TABLE trace_id_timestamps (
            trace_id String,
            start SimpleAggregateFunction(min, DateTime64(9)),
            end SimpleAggregateFunction(max, DateTime64(9))
        ) ENGINE = AggregatingMergeTree() ORDER BY (trace_id)""",
    """CREATE MATERIALIZED VIEW trace_id_timestamps_mv TO trace_id_timestamps AS
        SELECT trace_id, min(start_time) AS start, max(start_time) AS end FROM spans GROUP BY trace_id""",
    """CREATE TABLE attribute_metadata (attribute_key String, type String, level String)
        ENGINE = AggregatingMergeTree ORDER BY (attribute_key, type, level)""",
]

SPAN_KEYS_VIEW = """
CREATE MATERIALIZED VIEW attribute_metadata_mv TO attribute_metadata AS
SELECT tp.1 AS attribute_key, tp.2 AS type, tp.3 AS level
FROM (SELECT arrayJoin(arrayConcat({keys})) AS tp FROM spans)
GROUP BY attribute_key, type, level
"""

NESTED_KEYS_VIEW = """
CREATE MATERIALIZED VIEW {level}_attribute_metadata_mv TO attribute_metadata AS
SELECT tp.1 AS attribute_key, tp.2 AS type, '{level}' AS level
FROM spans ARRAY JOIN arrayConcat({keys}) AS tp
GROUP BY attribute_key, type, level
"""

COMPLEX_KEY = """multiIf(startsWith(k, '@bytes@'), substring(k, 8), startsWith(k, '@map@'), substring(k, 6),
    startsWith(k, '@slice@'), substring(k, 8), k)"""
COMPLEX_TYPE = """multiIf(startsWith(k, '@bytes@'), 'bytes', startsWith(k, '@map@'), 'map',
    startsWith(k, '@slice@'), 'slice', '')"""


class Jaeger:
    """The tables and queries of Jaeger."""

    spans = "spans"
    logs = None

    def tables(self):
        groups = {
            level: ATTRIBUTES.format(prefix=prefix)
            for level, prefix in (("span", ""), ("resource", "resource_"), ("scope", "scope_"))
        }
        added = [f"ALTER TABLE spans ADD COLUMN {column}" for column in LATER_COLUMNS]
        return [SPAN_TABLE.format(**groups), *added, *DERIVED, *key_views()]

    def span_source(self):
        """Columns of `spans` that are inserted, by the expression over the corpus each comes from."""
        source = {
            "id": "SpanId",
            "trace_id": "TraceId",
            "trace_state": "TraceState",
            "parent_span_id": "ParentSpanId",
            "name": "SpanName",
            "kind": "lower(SpanKind)",
            "start_time": "Timestamp",
            "status_code": "StatusCode",
            "status_message": "StatusMessage",
            "duration": "Duration",
            "service_name": "ServiceName",
            "scope_name": "ScopeName",
            "scope_version": "ScopeVersion",
            "events.name": "`Events.Name`",
            "events.timestamp": "`Events.Timestamp`",
            "links.trace_id": "`Links.TraceId`",
            "links.span_id": "`Links.SpanId`",
            "links.trace_state": "`Links.TraceState`",
        }
        for prefix, column in (("", "SpanAttributes"), ("resource_", "ResourceAttributes")):
            for kind, condition, cast in typed():
                kept = f"mapFilter((k, v) -> {condition}, {column})"
                source[f"{prefix}{kind}_attributes.key"] = f"mapKeys({kept})"
                source[f"{prefix}{kind}_attributes.value"] = f"arrayMap(v -> {cast}, mapValues({kept}))"
        for prefix, column in (("events", "`Events.Attributes`"), ("links", "`Links.Attributes`")):
            for kind, condition, cast in typed():
                kept = f"mapFilter((k, v) -> {condition}, m)"
                pairs = f"arrayMap((k, v) -> (k, {cast}), mapKeys({kept}), mapValues({kept}))"
                source[f"{prefix}.{kind}_attributes"] = f"arrayMap(m -> {pairs}, {column})"
            for empty in ("double_attributes", "complex_attributes"):
                source[f"{prefix}.{empty}"] = f"arrayMap(m -> [], {column})"
            # arrays of one Nested column must be equally long
            source[f"{prefix}.dropped_attributes_count"] = f"arrayMap(m -> 0, {column})"
        source["links.flags"] = "arrayMap(m -> 0, `Links.Attributes`)"
        return source

    def trace(self, trace_id):
        return f"SELECT * FROM spans s WHERE s.trace_id = {text(trace_id)}"

    def searches(self, wanted):
        """Queries over spans by the name under which their time is reported."""
        period = clause_between("s.start_time", wanted)
        return {
            "attribute_rare": matching_traces(period, attribute(wanted["rare"])),
            "attribute_common": matching_traces(period, attribute(wanted["common"])),
            "error_service": matching_traces(
                period, f"s.service_name = {text(wanted['service'])} AND s.status_code = 'Error'"
            ),
            "slow": matching_traces(period, f"s.duration >= {int(wanted['slow_nanos'])}"),
            "service_map": service_map(period),
            "red": f"""
                SELECT service_name, name, toStartOfInterval(toDateTime(start_time), INTERVAL 10 SECOND) AS at,
                    count(), countIf(status_code = 'Error'), quantiles(0.5, 0.95, 0.99)(duration)
                FROM spans s WHERE {period} GROUP BY service_name, name, at""",
        }


def typed():
    """The types that attributes of the corpus get: name, what text belongs to it, how the text becomes a value."""
    integer, boolean = f"match(v, '{INTEGER}')", f"match(v, '{BOOLEAN}')"
    return [
        ("int", integer, "toInt64(v)"),
        ("bool", boolean, "v = 'true'"),
        ("str", f"NOT {integer} AND NOT {boolean}", "v"),
    ]


def key_views():
    """The views that record which attribute was seen with which type on which level."""
    simple = ("bool", "double", "int", "str")
    keys = [
        f"arrayMap(k -> (k, '{kind}', '{level}'), {prefix}{kind}_attributes.key)"
        for kind in simple
        for level, prefix in (("span", ""), ("resource", "resource_"), ("scope", "scope_"))
    ]
    keys += [
        f"arrayMap(k -> ({COMPLEX_KEY}, {COMPLEX_TYPE}, '{level}'), {prefix}complex_attributes.key)"
        for level, prefix in (("span", ""), ("resource", "resource_"), ("scope", "scope_"))
    ]
    views = [SPAN_KEYS_VIEW.format(keys=", ".join(keys))]
    for level in ("event", "link"):
        keys = [f"arrayMap(k -> (k, '{kind}'), arrayFlatten({level}s.{kind}_attributes.key))" for kind in simple]
        keys.append(f"arrayMap(k -> ({COMPLEX_KEY}, {COMPLEX_TYPE}), arrayFlatten({level}s.complex_attributes.key))")
        views.append(NESTED_KEYS_VIEW.format(level=level, keys=", ".join(keys)))
    return views


def attribute(pair):
    """The test of an attribute that Jaeger makes once it has learnt its type and level, here always that of a span."""
    key, value = text(pair["key"]), pair["value"]
    if value in ("true", "false"):
        kind, literal = "bool", value
    elif value.lstrip("-").isdecimal() and str(int(value)) == value:
        kind, literal = "int", value
    else:
        kind, literal = "str", text(value)
    column = f"s.{kind}_attributes"
    return f"(arrayExists((key, value) -> key = {key} AND value = {literal}, {column}.key, {column}.value))"


def matching_traces(period, condition):
    return f"""
        SELECT l.trace_id, min(t.start) AS start, max(t.end) AS end
        FROM (SELECT DISTINCT s.trace_id FROM spans s WHERE {condition} AND {period} LIMIT 20) l
        LEFT JOIN trace_id_timestamps t ON l.trace_id = t.trace_id
        GROUP BY l.trace_id"""


def service_map(period):
    return f"""
        WITH
            servers AS (
                SELECT trace_id, parent_span_id, service_name, status_code
                FROM spans s WHERE {period} AND kind IN ('server', 'consumer')
            ),
            clients AS (
                SELECT trace_id, id, service_name FROM spans s WHERE {period} AND kind IN ('client', 'producer')
            )
        SELECT servers.service_name AS callee, servers.status_code AS status, clients.service_name AS caller, count(*)
        FROM servers LEFT JOIN clients
            ON servers.trace_id = clients.trace_id AND servers.parent_span_id = clients.id
        WHERE servers.service_name != clients.service_name
        GROUP BY callee, status, caller
        ORDER BY callee, status, caller"""
