"""Texts and times as ClickHouse reads them in a query."""


def text(value):
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def name(column):
    """A column name, which may have dots."""
    return "`" + column.replace("`", "\\`") + "`"


def clause_between(expression, wanted, rounding=""):
    """That a time lies within the asked period; both ends are rounded by the function given."""
    start, end = (f"{rounding}(parseDateTime64BestEffort({text(wanted[end])}, 9, 'UTC'))" for end in ("from", "to"))
    return f"{expression} >= {start} AND {expression} <= {end}"
