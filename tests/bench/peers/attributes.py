"""Ways to lay out the files of a lake: attributes in one list, in columns of their own, resources as numbers.

    python attributes.py LAKE_DIR WORK [--tenant default]

Takes the largest merged file of spans in LAKE_DIR (of a data directory kept by `TRACEHOUND_BENCH_DATA=DIR bench
attributes`, which is DIR/lake), and writes its rows again to WORK in four ways, with the row groups, pages, encodings and
compression of our own writer:

    list        every attribute that no convention names is an entry of `attrs_rest`
    columns     every (key, type) in at least one row of a hundred has a column; the rest is in the list
    numbers     as `list`, and the resource is a number into a table of all resources
    both        as `columns` and `numbers`

A file that has columns for attributes already is brought back to the list first. What pyarrow writes differs from what
our writer writes by the dictionary of trace ids alone (0.15 bytes a span). Then each is asked for the newest 20 spans
with a value, by DuckDB on one thread. One JSON object goes to stdout, progress to stderr.
"""

import argparse
import collections
import json
import pathlib

import duckdb
import numpy
import pyarrow
import pyarrow.compute
import pyarrow.parquet

import measure
from measure import say

SEPARATOR = "\x1f"
PREFIX, ORDER, REST, RESOURCE = "attr:", "attr_order", "attrs_rest", "resource"
SHARE = 0.01
DELTA = ["start_time", "received_time", "seq", "row", "duration_nanos", "nested_left", "nested_right"]
PLAIN = ["span_id", "parent_span_id"]
GROUP_ROWS, SLICE_ROWS, PAGE_BYTES, LEVEL = 131_072, 16_384, 1 << 20, 3
# Key, tag, value: of one row in six, one in forty, one trace, none.
ASKED = {
    "text_common": ("app.region", "s", "eu-central-1"),
    "text_less_common": ("tenant.tier", "s", "enterprise"),
    "number_common": ("cart.items", "i", "3"),
    "text_rare": ("shop.order.id", "s", None),
    "text_absent": ("shop.order.id", "s", "ord-nobody"),
}


def main():
    parser = argparse.ArgumentParser(description="Measures layouts of attributes and resources.")
    parser.add_argument("lake", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--tenant", default="default")
    arguments = parser.parse_args()
    merged = (arguments.lake / arguments.tenant / "spans").glob("*/*.l2.parquet")
    source = max(merged, key=lambda path: path.stat().st_size)
    table = without_columns(pyarrow.parquet.read_table(source))
    say(f"{table.num_rows} rows of {source.name}")
    arguments.work.mkdir(parents=True, exist_ok=True)
    figures = {"rows": table.num_rows, "source_bytes_per_span": source.stat().st_size / table.num_rows}
    promoted = with_columns(table)
    rare = some_value(table, "shop.order.id")
    for name, layout in {
        "list": table,
        "columns": promoted,
        "numbers": with_numbers(table),
        "both": with_numbers(promoted),
    }.items():
        say(name)
        path = arguments.work / f"{name}.parquet"
        write(layout, path)
        figures[name] = sizes(path) | times(path, layout, rare)
    print(json.dumps(figures, indent=2))


def entries_of(table):
    """The entries of all rows one after the other, the row of each, and the number of rows."""
    lists = table[REST].combine_chunks()
    return lists.flatten(), pyarrow.compute.list_parent_indices(lists).to_numpy(), table.num_rows


def lists_of(entries, rows, count):
    """Lists of entries, of which the row is known; rows ascend."""
    ends = numpy.zeros(count + 1, dtype=numpy.int32)
    numpy.cumsum(numpy.bincount(rows, minlength=count), out=ends[1:])
    return pyarrow.ListArray.from_arrays(pyarrow.array(ends), entries)


def without_columns(table):
    """Brings what stands in columns of attributes back into the list, in front of it."""
    columns = [name for name in table.column_names if name.startswith(PREFIX)]
    if not columns:
        return table
    entries, rows, count = entries_of(table)
    parts, part_rows = [], []
    for name in columns:
        tag, key = name.removeprefix(PREFIX).split(":", 1)
        values = pyarrow.compute.cast(table[name].combine_chunks(), pyarrow.string())
        there = numpy.nonzero(values.is_valid().to_numpy(zero_copy_only=False))[0]
        head = pyarrow.scalar(key + SEPARATOR + tag)
        parts.append(pyarrow.compute.binary_join_element_wise(head, values.take(pyarrow.array(there)), ""))
        part_rows.append(there)
    everything = pyarrow.concat_arrays([*parts, pyarrow.compute.cast(entries, pyarrow.string())])
    everywhere = numpy.concatenate([*part_rows, rows])
    order = numpy.argsort(everywhere, kind="stable")
    table = table.drop_columns([name for name in [*columns, ORDER] if name in table.column_names])
    lists = lists_of(everything.take(pyarrow.array(order)), everywhere[order], count)
    return table.set_column(table.schema.get_field_index(REST), REST, lists)


def with_columns(table):
    """Gives every (key, type) of one row in a hundred a column: the first entry of a row."""
    entries, rows, count = entries_of(table)
    distinct = entries.dictionary_encode()
    kinds, values, kind_of = {}, [], []
    for entry in distinct.dictionary.to_pylist():
        key, value = entry.split(SEPARATOR, 1)
        kind_of.append(kinds.setdefault((key, value[0]), len(kinds)))
        values.append(value[1:])
    values, places = numpy.array(values, dtype=object), distinct.indices.to_numpy()
    kind_of = numpy.array(kind_of)[places]
    stays = numpy.ones(len(places), dtype=bool)
    for (key, tag), kind in kinds.items():
        at = numpy.nonzero(kind_of == kind)[0]
        if len(at) < SHARE * count:
            continue
        found, first = numpy.unique(rows[at], return_index=True)
        at = at[first]
        stays[at] = False
        column = numpy.full(count, None, dtype=object)
        column[found] = values[places[at]]
        types = {"i": pyarrow.int64(), "d": pyarrow.float64(), "b": pyarrow.bool_()}
        column = pyarrow.compute.cast(pyarrow.array(column, pyarrow.string()), types.get(tag, pyarrow.string()))
        table = table.append_column(f"{PREFIX}{tag}:{key}", column)
    lists = lists_of(entries.filter(pyarrow.array(stays)), rows[stays], count)
    return table.set_column(table.schema.get_field_index(REST), REST, lists)


def with_numbers(table):
    """The resource as a number; the table of resources goes to the metadata of the file."""
    labels = pyarrow.compute.cast(table[RESOURCE].combine_chunks(), pyarrow.string()).dictionary_encode()
    metadata = {b"resources": json.dumps(labels.dictionary.to_pylist()).encode()}
    numbers = pyarrow.compute.cast(labels.indices, pyarrow.uint32())
    table = table.set_column(table.schema.get_field_index(RESOURCE), RESOURCE, numbers)
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})


def some_value(table, key):
    head = key + SEPARATOR + "s"
    entries, _, _ = entries_of(table)
    return entries.filter(pyarrow.compute.starts_with(entries, head))[0].as_py().removeprefix(head)


def write(table, path):
    leaves = {
        field.name: field.name + (".list.element" if pyarrow.types.is_list(field.type) else "") for field in table.schema
    }
    encodings = {name: "DELTA_BINARY_PACKED" for name in DELTA} | {name: "PLAIN" for name in PLAIN}
    pyarrow.parquet.write_table(
        table,
        path,
        row_group_size=GROUP_ROWS,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=[leaf for name, leaf in leaves.items() if name not in encodings],
        column_encoding=encodings,
        data_page_size=PAGE_BYTES,
        dictionary_pagesize_limit=PAGE_BYTES,
        max_rows_per_page=SLICE_ROWS,
        write_batch_size=SLICE_ROWS,
        write_page_index=True,
    )


def sizes(path):
    """Bytes a span, by group of columns."""
    file = pyarrow.parquet.ParquetFile(path)
    groups, rows = collections.Counter(), file.metadata.num_rows
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        for column in (group.column(at) for at in range(group.num_columns)):
            name = column.path_in_schema
            kind = (
                "attributes_in_the_list" if name.startswith(REST)
                else "attributes_in_columns" if name.startswith(PREFIX)
                else "resource" if name == RESOURCE
                else "scope" if name.startswith("scope")
                else "everything_else"
            )
            groups[kind] += column.total_compressed_size
    total = path.stat().st_size
    groups["footer"] = total - sum(groups.values())
    return {"total": total / rows} | {kind: size / rows for kind, size in sorted(groups.items())}


def times(path, table, rare):
    """Milliseconds until the newest 20 rows with a value are there, on one thread."""
    connection = duckdb.connect(config={"threads": 1})
    figures = {}
    for name, (key, tag, value) in ASKED.items():
        value, column = value or rare, f"{PREFIX}{tag}:{key}"
        if column in table.column_names:
            condition = f'"{column}" = {value if tag == "i" else text(value)}'
        else:
            condition = f"list_contains({REST}, {text(key + SEPARATOR + tag + value)})"
        query = (
            f"SELECT start_time, trace_id, span_id, service, name FROM read_parquet({text(str(path))})"
            f" WHERE {condition} ORDER BY start_time DESC LIMIT 20"
        )
        figures[f"{name}_rows"] = len(connection.execute(query).fetchall())
        figures[f"{name}_ms"] = measure.median_millis(lambda query=query: connection.execute(query).fetchall())
    return figures


def text(value):
    return "'" + value.replace("'", "''") + "'"


if __name__ == "__main__":
    main()
