"""DuckDB over our own Parquet files: count, lookup of a trace, searches over columns.

    python duckdb_peer.py LAKE_DIR QUERIES_JSON [--tenant default]

Reads LAKE_DIR/<tenant>/spans/**/*.parquet as they are, without our index and without loading them into a database. An
attribute that has a column of its own is compared there, as our own reader does first; any other is looked for in the
columns that merged files have for it (`attr:`, tag of the type, `:`, key) and among the encoded entries of `attrs_rest`
(key, U+001F, tag of the type, value). Searches give the newest 20 spans of the
asked period. The lake must not change meanwhile. One JSON object goes to stdout, progress to stderr.
"""

import argparse
import json
import pathlib

import duckdb

import measure
from measure import say

ENTRY_SEPARATOR = "\x1f"
ESCAPED = {"\x1b": "\x1bb", "\x1e": "\x1be", "\x1f": "\x1bf"}
STATUS_ERROR = 2
SHOWN = "start_time, trace_id, span_id, service, name, status_code, duration_nanos"


def main():
    parser = argparse.ArgumentParser(description="Measures DuckDB over the Parquet files of a lake.")
    parser.add_argument("lake", type=pathlib.Path)
    parser.add_argument("queries", type=pathlib.Path)
    parser.add_argument("--tenant", default="default")
    arguments = parser.parse_args()
    wanted = json.loads(arguments.queries.read_text())
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    pattern = arguments.lake / arguments.tenant / "spans" / "**" / "*.parquet"
    connection.execute(f"CREATE VIEW spans AS SELECT * FROM read_parquet({text(str(pattern))}, union_by_name = true)")
    figures = {"peer": "duckdb", "version": duckdb.__version__}
    figures |= searches(connection, wanted)
    figures |= traces(connection, wanted)
    figures["peak_rss_mib"] = measure.peak_rss_mib()
    print(json.dumps(figures, indent=2))


def text(value):
    return "'" + value.replace("'", "''") + "'"


def searches(connection, wanted):
    """The median time and the rows of every query that is not a lookup."""
    kinds = dict(connection.execute("SELECT column_name, column_type FROM (DESCRIBE spans)").fetchall())
    conditions = {
        "attribute_rare": attribute(wanted["rare"], kinds),
        "attribute_common": attribute(wanted["common"], kinds),
        "error_service": f"service = {text(wanted['service'])} AND status_code = {STATUS_ERROR}",
        "slow": f"duration_nanos >= {int(wanted['slow_nanos'])}",
    }
    start, end = (f"{text(wanted[end])}::TIMESTAMPTZ_NS" for end in ("from", "to"))
    queries = {
        name: f"SELECT {SHOWN} FROM spans WHERE start_time BETWEEN {start} AND {end} AND {condition}"
        " ORDER BY start_time DESC LIMIT 20"
        for name, condition in conditions.items()
    }
    figures = {"spans": connection.execute("SELECT count(*) FROM spans").fetchone()[0]}
    figures["count_ms"] = measure.median_millis(
        lambda: connection.execute("SELECT count(*) FROM spans").fetchall()
    )
    for name, query in queries.items():
        say(f"asking {name}")
        figures[f"{name}_rows"] = len(connection.execute(query).fetchall())
        figures[f"{name}_ms"] = measure.median_millis(lambda: connection.execute(query).fetchall())
    return figures


def attribute(pair, kinds):
    """The test of an attribute, in its column if it has one that the value fits, else among the entries."""
    key, value = pair["key"], pair["value"]
    is_number = value.lstrip("-").isdecimal()
    if kinds.get(key) == "VARCHAR":
        return f'"{key}" = {text(value)}'
    if kinds.get(key) == "BIGINT" and is_number:
        return f'"{key}" = {value}'
    # the corpus does not say the type of a value, so text that reads as another type may be either
    tags = "si" if is_number else "sb" if value in ("true", "false") else "s"
    entries = ", ".join(text(escaped(key) + ENTRY_SEPARATOR + tag + escaped(value)) for tag in tags)
    ways = [f"list_has_any(attrs_rest, [{entries}])"]
    for tag in tags:
        column = f"attr:{tag}:{key}"
        if column in kinds:
            ways.append(f'"{column}" = {text(value) if tag == "s" else value}')
    return f"({' OR '.join(ways)})"


def escaped(part):
    return "".join(ESCAPED.get(character, character) for character in part)


def traces(connection, wanted):
    """Times of lookups of traces that are there and of traces that are not."""

    def look_up(trace_id):
        query = "SELECT * FROM spans WHERE trace_id = unhex(?)"
        return len(connection.execute(query, [trace_id]).fetchall())

    measure.lookups(look_up, wanted["trace_ids"][-measure.WARM_UP_LOOKUPS:])
    figures = {}
    for name, ids in (("trace", wanted["trace_ids"]), ("miss", wanted["missing_ids"])):
        say(f"looking up {len(ids)} ids: {name}")
        figures |= measure.lookup_figures(name, *measure.lookups(look_up, ids))
    return figures


if __name__ == "__main__":
    main()
