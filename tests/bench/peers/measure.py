"""What every peer is measured with: CPU time of this process, wall time, percentiles, the page cache.

CPU seconds are user plus system of the whole process as getrusage counts them, background threads included, because
both peers run inside this process. A percentile is the nearest rank, so it is always a time that was really measured.
"""

import math
import os
import resource
import sys
import time

# Runs after the warm-up run of a query that is asked again and again.
RUNS = 5
# Lookups of one kind end after so long; the result says how many were made.
LOOKUP_SECONDS_MAX = 300
# Traces looked up before the times are taken.
WARM_UP_LOOKUPS = 50

DROP_CACHES = "/proc/sys/vm/drop_caches"


def say(text):
    """Progress, on stderr, so that stdout is one JSON object."""
    print(text, file=sys.stderr, flush=True)


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_rss_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def percentile(values, share):
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def millis(work):
    """Milliseconds that a call takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def median_millis(work):
    """The median of several runs; the caller has made the warm-up run."""
    return percentile([millis(work) for _ in range(RUNS)], 0.5)


def lookups(look_up, ids, before=None):
    """Milliseconds and rows of one lookup per id; `before` is called ahead of each and not timed."""
    times, rows = [], []
    ends = time.monotonic() + LOOKUP_SECONDS_MAX
    for trace_id in ids:
        if time.monotonic() > ends:
            say(f"stopped after {LOOKUP_SECONDS_MAX} s and {len(times)} lookups")
            break
        if before:
            before()
        started = time.perf_counter()
        rows.append(look_up(trace_id))
        times.append((time.perf_counter() - started) * 1e3)
    return times, rows


def lookup_figures(name, times, rows):
    """What is reported of lookups: how many, how long, how many rows each and how many found nothing."""
    return {
        f"{name}_lookups": len(times),
        f"{name}_p50_ms": percentile(times, 0.5),
        f"{name}_p99_ms": percentile(times, 0.99),
        f"{name}_rows_mean": sum(rows) / len(rows),
        f"{name}_without_rows": sum(1 for count in rows if count == 0),
    }


def cold_method(allowed):
    """How the page cache can be emptied here: all of it where that is allowed and permitted, else file by file."""
    return "drop_caches" if allowed and os.access(DROP_CACHES, os.W_OK) else "fadvise"


def empty_page_cache(method, folder):
    """Takes the files of a folder out of the page cache; what the process keeps in its own memory stays."""
    if method == "drop_caches":
        os.sync()
        with open(DROP_CACHES, "w", encoding="ascii") as control:
            control.write("3")
        return
    for path, _, names in os.walk(folder):
        for name in names:
            forget_file(os.path.join(path, name))


def forget_file(path):
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fdatasync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)
