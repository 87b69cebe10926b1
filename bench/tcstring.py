"""What does a TC string cost, a real one and the worst that can be sent? Characters in, what it
says or a refusal out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

from pytest_benchmark.fixture import BenchmarkFixture

from bench.figures import HERE
from bench.measure import interleaved, median, report, timed
from decisions.errors import TcStringError
from decisions.tcstring import MAX_CHARACTERS, decode

REAL = HERE.parent / "tests" / "spec" / "tcf" / "tc_strings_v2.json"
TIMES = 20
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HEAD = f"{2:06b}" + "0" * 207  # a core up to its vendors


def characters(bits: str) -> str:
    """Bits as characters, cut at what is taken at all."""
    bits += "0" * (-len(bits) % 6)
    each = (CHARACTERS[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))
    return "".join(each)[:MAX_CHARACTERS]


def hostile() -> list[str]:
    """Strings that are refused as late, or are as laborious, as their length lets them be."""
    one, two = f"0{7:016b}", f"1{7:016b}{9:016b}"
    room = MAX_CHARACTERS * 6 - len(HEAD) - 99
    made = []
    for entry in (one, two):
        count = room // len(entry)
        vendors = f"{0xFFFF:016b}1{count:012b}" + entry * count
        made.append(characters(HEAD + vendors + "0" * 29 + "111111"))  # padding of ones
        made.append(characters(HEAD + vendors)[:-1])
    restriction = f"{1:06b}00{19:012b}" + one * 19
    made.append(characters(HEAD + "0" * 34 + f"{72:012b}" + restriction * 72))
    made.append(characters(HEAD + f"{23_000:016b}0" + "1" * 23_000 + "1"))
    return [
        *made,
        "C" * MAX_CHARACTERS,
        "C" * 65_536,
        "." * 65_536,
        characters(HEAD + "1" * 30_000),
    ]


def _refused(text: str) -> None:
    with contextlib.suppress(TcStringError):
        decode(text)


def test_a_tc_string_real_or_hostile(benchmark: BenchmarkFixture) -> None:
    real = json.loads(REAL.read_text(encoding="utf-8"))
    contenders: dict[str, Callable[[], float]] = {
        "real": lambda: timed(decode, real * TIMES)().p50_us,
        # Each by itself, the median of its calls: the slowest string counts, not its worst moment.
        "hostile": lambda: max(timed(_refused, [text] * TIMES)().p50_us for text in hostile()),
    }
    rounds = interleaved(benchmark, contenders)
    report(benchmark, {f"{name}_p50_us": median(times) for name, times in rounds.items()})
