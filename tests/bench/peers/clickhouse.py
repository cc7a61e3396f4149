"""ClickHouse in this process (chdb) with the tables of ClickStack or Jaeger: cost of ingest, size on disk, queries.

    python clickhouse.py CORPUS_DIR WORK_DIR --schema clickstack|clickstack-text|jaeger [--keep-page-cache]

CORPUS_DIR holds spans/*.parquet or logs/*.parquet with the columns of the exporter's otel_traces and otel_logs, and
queries.json. The database is made anew in WORK_DIR. One JSON object goes to stdout, progress to stderr.

*Ingest.* The corpus is first cut into slices of 100,000 rows in ClickHouse's own format with the columns of the
table, which is what the exporter sends; this is not measured. Then each slice is inserted by a statement of its own,
on one thread, and merges are waited for. The CPU time from the first insert to the last merge is `span_insert_cpu_s`;
reading the slices alone, with the same columns and no table, is `span_read_cpu_s`; `insert_cpu_us_per_span` is the
difference for each span. Logs, where there are any, follow in the same way. Nothing is optimised by hand: what merges left is what queries
meet. There is no network and no collector, in the peer's favour.

*Size.* From system.parts, active parts only, all tables that a signal fills.

*Queries.* Every query but the lookup of a trace is limited to the asked period. It runs once to warm up and five
times for the median. ClickHouse remembers which granules a condition matched, so that a repetition costs less than
the first question: `..._ms` is with this cache as it is by default, `..._uncached_ms` without. `..._rows` are rows
answered, or the number counted. Words of logs must be letters and digits alone, as ClickHouse splits words.
Lookups are answered as JSON lines, since their rows are counted. A cold lookup comes after the page cache was
emptied, once for each trace; ClickHouse's own caches stay, except for that one. `--keep-page-cache` empties it file
by file instead of the whole machine's.
"""

import argparse
import functools
import json
import pathlib
import shutil
import time

import pyarrow as pa
import pyarrow.parquet as pq
from chdb import session

import measure
from clickstack import ClickStack
from jaeger import Jaeger
from measure import say
from sql import name, text

SCHEMAS = {
    "clickstack": lambda: ClickStack(text_indexes=False),
    "clickstack-text": lambda: ClickStack(text_indexes=True),
    "jaeger": Jaeger,
}

SLICE_ROWS = 100_000
COLD_LOOKUPS = 50
# Merges are over when no part has changed for so long.
QUIET_SECONDS = 15
# And are not waited for any longer than this.
MERGE_SECONDS_MAX = 900
NO_CONDITION_CACHE = " SETTINGS use_query_condition_cache = 0"

# The corpus: the columns of the exporter's tables, as ClickHouse is to read them.
SPAN_TYPES = {
    "Timestamp": "DateTime64(9)",
    "TraceId": "String",
    "SpanId": "String",
    "ParentSpanId": "String",
    "TraceState": "String",
    "SpanName": "String",
    "SpanKind": "String",
    "ServiceName": "String",
    "ResourceAttributes": "Map(String, String)",
    "ScopeName": "String",
    "ScopeVersion": "String",
    "SpanAttributes": "Map(String, String)",
    "Duration": "UInt64",
    "StatusCode": "String",
    "StatusMessage": "String",
    "Events.Timestamp": "Array(DateTime64(9))",
    "Events.Name": "Array(String)",
    "Events.Attributes": "Array(Map(String, String))",
    "Links.TraceId": "Array(String)",
    "Links.SpanId": "Array(String)",
    "Links.TraceState": "Array(String)",
    "Links.Attributes": "Array(Map(String, String))",
}
LOG_TYPES = {
    "Timestamp": "DateTime64(9)",
    "TraceId": "String",
    "SpanId": "String",
    "TraceFlags": "UInt8",
    "SeverityText": "String",
    "SeverityNumber": "UInt8",
    "ServiceName": "String",
    "Body": "String",
    "ResourceSchemaUrl": "String",
    "ResourceAttributes": "Map(String, String)",
    "ScopeSchemaUrl": "String",
    "ScopeName": "String",
    "ScopeVersion": "String",
    "ScopeAttributes": "Map(String, String)",
    "LogAttributes": "Map(String, String)",
    "EventName": "String",
}


class Database:
    """ClickHouse, with its data in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.session = session.Session(str(folder))

    def run(self, statement):
        """Asks, and leaves the answer in the format in which ClickHouse gives it to its clients."""
        return self.session.query(statement, "Native")

    def rows(self, statement):
        answer = self.session.query(statement, "JSONCompactEachRow").bytes()
        return [json.loads(line) for line in answer.splitlines()]

    def row_count(self, statement):
        return self.session.query(statement, "JSONCompactEachRow").bytes().count(b"\n")


def main():
    arguments = parse_arguments()
    wanted = json.loads((arguments.corpus / "queries.json").read_text())
    schema = SCHEMAS[arguments.schema]()
    slices = fresh(arguments.work / "slices")
    database = Database(fresh(arguments.work / "db"))
    for statement in schema.tables():
        database.run(statement)
    figures = {
        "peer": "clickhouse",
        "schema": arguments.schema,
        "version": database.rows("SELECT version()")[0][0],
        "slice_rows": SLICE_ROWS,
    }
    spans = sorted((arguments.corpus / "spans").glob("*.parquet"))
    if spans:
        files = cut(database, spans, slices, schema.spans, SPAN_TYPES, schema.span_source())
        figures |= ingest(database, schema.spans, files, "span")
    logs = sorted((arguments.corpus / "logs").glob("*.parquet")) if schema.logs else []
    if logs:
        files = cut(database, logs, slices, schema.logs, LOG_TYPES, {})
        figures |= ingest(database, schema.logs, files, "log")
    shutil.rmtree(slices)
    figures |= sizes(database, schema.logs, figures)
    if spans:
        figures |= searches(database, schema.searches(wanted))
    if logs:
        figures |= searches(database, schema.log_searches(wanted))
    if spans:
        figures |= traces(database, schema, wanted, arguments.keep_page_cache)
    figures["peak_rss_mib"] = measure.peak_rss_mib()
    print(json.dumps(figures, indent=2))


def parse_arguments():
    parser = argparse.ArgumentParser(description="Measures ClickHouse with the tables of a tracing product.")
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--schema", choices=SCHEMAS, required=True)
    parser.add_argument("--keep-page-cache", action="store_true")
    return parser.parse_args()


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder.resolve()


def cut(database, paths, folder, table, types, source):
    """Writes the corpus as slices with the table's own columns; gives their paths, rows and columns."""
    slices = []
    for path in paths:
        say(f"cutting {path.name}")
        for batch in pq.ParquetFile(path).iter_batches(SLICE_ROWS):
            slices.append(write_slice(database, batch, folder / f"{table}-{len(slices):05}", table, types, source))
    return slices


def write_slice(database, batch, stem, table, types, source):
    known = {column: kind for column, kind in types.items() if column in batch.schema.names}
    expressions = source or {column: name(column) for column in known}
    inserted = table_types(database, table, expressions)
    corpus, target = f"{stem}.parquet", f"{stem}.native.lz4"
    pq.write_table(pa.Table.from_batches([batch]), corpus, compression="none")
    # columns are matched by their place, so both sides keep the order of the table
    chosen = ", ".join(expressions[column] for column in inserted)
    database.run(
        f"INSERT INTO FUNCTION file({text(target)}, 'Native', {text(structure(inserted))}) SELECT {chosen}"
        f" FROM file({text(corpus)}, 'Parquet', {text(structure(known))})"
    )
    pathlib.Path(corpus).unlink()
    return {"path": target, "rows": batch.num_rows, "columns": inserted}


def table_types(database, table, columns):
    found = database.rows(
        "SELECT name, type FROM system.columns"
        f" WHERE database = currentDatabase() AND table = {text(table)} ORDER BY position"
    )
    return {column: kind for column, kind in found if column in columns}


def structure(types):
    return ", ".join(f"{name(column)} {kind}" for column, kind in types.items())


def reading(piece):
    chosen = ", ".join(name(column) for column in piece["columns"])
    return f"SELECT {chosen} FROM file({text(piece['path'])}, 'Native', {text(structure(piece['columns']))})"


def ingest(database, table, slices, unit):
    """Reads the slices without a table, then inserts them and waits for merges."""
    rows = sum(piece["rows"] for piece in slices)
    say(f"reading {rows} {unit}s")
    before = measure.cpu_seconds()
    for piece in slices:
        database.session.query(reading(piece), "Null")
    read_cpu = measure.cpu_seconds() - before
    say(f"inserting {rows} {unit}s")
    before, started = measure.cpu_seconds(), time.monotonic()
    for piece in slices:
        chosen = ", ".join(name(column) for column in piece["columns"])
        database.run(f"INSERT INTO {table} ({chosen}) {reading(piece)} SETTINGS max_insert_threads = 1")
    inserted_cpu, inserted = measure.cpu_seconds() - before, time.monotonic()
    quiet, cpu_then, then = wait_for_merges(database)
    stored = database.rows(f"SELECT count() FROM {table}")[0][0]
    assert int(stored) == rows, f"{stored} of {rows} {unit}s were stored"
    insert_cpu = cpu_then - before
    return {
        f"{unit}s": rows,
        f"{unit}_read_cpu_s": read_cpu,
        f"{unit}_insert_cpu_s": insert_cpu,
        f"{unit}_insert_cpu_until_last_insert_s": inserted_cpu,
        f"insert_cpu_us_per_{unit}": (insert_cpu - read_cpu) / rows * 1e6,
        f"{unit}_insert_wall_s": inserted - started,
        f"{unit}_merge_wall_s": max(0.0, then - inserted),
        f"{unit}_merges_quiet": quiet,
        f"{unit}_active_parts": active_parts(database, table),
    }


def active_parts(database, table):
    return int(database.rows(f"SELECT count() FROM system.parts WHERE active AND table = {text(table)}")[0][0])


def wait_for_merges(database):
    """Whether merges came to rest, and the CPU time and clock at the last change."""
    last = None
    cpu, changed = measure.cpu_seconds(), time.monotonic()
    ends = changed + MERGE_SECONDS_MAX
    while time.monotonic() < ends:
        parts = database.rows("SELECT name, table FROM system.parts WHERE active ORDER BY table, name")
        running = database.rows("SELECT count() FROM system.merges")[0][0]
        if parts != last or int(running) > 0:
            cpu, changed, last = measure.cpu_seconds(), time.monotonic(), parts
        if time.monotonic() - changed > QUIET_SECONDS:
            return True, cpu, changed
        time.sleep(0.5)
    return False, cpu, changed


def sizes(database, log_table, figures):
    """Bytes on disk of the parts that count, of each signal and each row of it."""
    parts = database.rows("""
        SELECT table, sum(bytes_on_disk), sum(data_compressed_bytes), sum(marks_bytes),
            sum(secondary_indices_compressed_bytes) + sum(secondary_indices_marks_bytes), sum(primary_key_size), count()
        FROM system.parts WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table""")
    indexes = database.rows("""
        SELECT table, name, data_compressed_bytes + marks_bytes FROM system.data_skipping_indices
        WHERE database = currentDatabase() ORDER BY table, name""")
    result = {"tables": {}, "indexes": {f"{table}.{index}": int(size) for table, index, size in indexes}}
    totals = {}
    for table, *numbers in parts:
        kinds = ("bytes", "data_bytes", "mark_bytes", "index_bytes", "primary_key_bytes", "parts")
        of_table = dict(zip(kinds, map(int, numbers)))
        result["tables"][table] = of_table
        unit = "log" if table == log_table else "span"
        for kind in kinds[:-1]:
            totals[unit, kind] = totals.get((unit, kind), 0) + of_table[kind]
    for (unit, kind), size in totals.items():
        result[f"{unit}_{kind}"] = size
        result[f"{kind}_per_{unit}"] = size / figures[f"{unit}s"]
    return result


def searches(database, queries):
    """The median time of each query, with and without what ClickHouse remembers of conditions, and its rows."""
    figures = {}
    for query, statement in queries.items():
        say(f"asking {query}")
        uncached = statement + NO_CONDITION_CACHE
        figures[f"{query}_rows"] = database.row_count(uncached)
        if query.endswith("_count"):
            figures[f"{query}_rows"] = int(database.rows(uncached)[0][0])
        figures[f"{query}_uncached_ms"] = measure.median_millis(lambda: database.run(uncached))
        database.run(statement)
        figures[f"{query}_ms"] = measure.median_millis(lambda: database.run(statement))
    return figures


def traces(database, schema, wanted, keep_page_cache):
    """Times of lookups: traces that are there, traces that are not, and traces that must come from the disk."""

    def look_up(trace_id):
        return database.row_count(schema.trace(trace_id))

    def look_up_again(trace_id):
        return database.row_count(schema.trace(trace_id) + NO_CONDITION_CACHE)

    found, missing = wanted["trace_ids"], wanted["missing_ids"]
    figures = {"empty_query_ms": measure.median_millis(lambda: database.run("SELECT 1"))}
    measure.lookups(look_up_again, found[-measure.WARM_UP_LOOKUPS:])
    for figure, ids in (("trace", found), ("miss", missing)):
        say(f"looking up {len(ids)} ids: {figure}")
        figures |= measure.lookup_figures(figure, *measure.lookups(look_up, ids))
    method = measure.cold_method(not keep_page_cache)
    figures["cold_method"] = method
    say(f"looking up {COLD_LOOKUPS} ids after {method}")
    empty = functools.partial(measure.empty_page_cache, method, database.folder)
    cold = measure.lookups(look_up_again, found[:COLD_LOOKUPS], before=empty)
    return figures | measure.lookup_figures("cold_trace", *cold)


if __name__ == "__main__":
    main()
