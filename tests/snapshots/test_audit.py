"""An audit: what was removed, added, changed or moved shows; what was erased is no fault."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.audit import MAX_PROBLEMS, ConsentRow, Report, audit, consent_rows
from snapshots.errors import Malformed
from snapshots.eventfiles import Placed, open_events

Line = bytes
ONE, OTHER = "aaaa", "bbbb"


def encode(**fields: Any) -> Line:
    return msgspec.json.encode(fields)


def hashed(line: Line) -> str:
    return hashlib.sha256(line).hexdigest()


def written(trail: str, count: int, before: str = "", at_s: float = 100.0) -> list[Line]:
    """The rows of so many choices of one visitor, in pairs: whose it is, and the record."""
    lines: list[Line] = []
    for number in range(1, count + 1):
        about = {"received": at_s + number, "at": at_s, "grants": ["functional"], "how": "banner"}
        agreed = encode(id=f"{trail}{number}", type="agreed", visitor="v1", **about)
        record = encode(
            id=f"{trail}-{number}", type="consent", trail=trail, number=number, before=before,
            proof=hashed(agreed), policy="p1", **about,
        )  # fmt: skip
        lines += [agreed, record]
        before = hashed(record)
    return lines


def placed(lines: Sequence[Line]) -> list[Placed[ConsentRow]]:
    return [
        Placed(msgspec.json.decode(line, type=ConsentRow), "file", number, line)
        for number, line in enumerate(lines, 1)
    ]


def found(lines: Sequence[Line], **more: Any) -> Report:
    return audit(placed(lines), **more)


def test_what_was_written_holds_together() -> None:
    lines = written(ONE, 3)
    report = found([*lines, encode(id="e1", type="seen", received=1.0)])

    assert report.problems == []
    assert (report.proven, report.nameless, report.unnamed) == (3, 0, 0)
    (trail,) = report.trails
    assert (trail.first, trail.last, trail.records, trail.link) == (1, 3, 3, hashed(lines[-1]))


def test_nothing_holds_together_too() -> None:
    assert found([]) == Report(trails=[], proven=0, nameless=0, unnamed=0, problems=[])


def test_copies_and_their_order_do_not_matter() -> None:
    lines = written(ONE, 3)

    assert found([*reversed(lines), *lines]) == found(lines)


def test_rows_that_were_erased_are_no_fault() -> None:
    lines = written(ONE, 3)
    report = found([line for line in lines if b"agreed" not in line or b"aaaa2" not in line])

    assert (report.problems, report.proven, report.unnamed) == ([], 2, 1)


def test_records_that_expired_at_the_beginning_are_no_fault() -> None:
    lines = written(ONE, 4)
    later = written(OTHER, 2, hashed(lines[-1]), at_s=200.0)

    assert found(lines[4:] + later).problems == []
    assert found(later).problems == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda lines: lines[:2] + lines[4:], "expected record 2, got none: lost or removed"),
        (lambda lines: lines[:2] + lines[6:], "expected record 2 to 3, got none"),
        (lambda lines: [line.replace(b"p1", b"p2") for line in lines[:2]] + lines[2:],
         "as the hash of record 1, got"),
        (lambda lines: [line.replace(b"v1", b"v2") for line in lines[:2]] + lines[2:],
         "row aaaa1: expected a record that proves it, got none"),
        (lambda lines: [*lines, lines[3].replace(b"p1", b"p2")],
         "expected one record 2, got two that differ"),
        (lambda lines: [*lines, encode(id="x", type="agreed", received=1.0, visitor="v9")],
         "row x: expected a record that proves it"),
        (lambda lines: [lines[0], lines[1].replace(b'"aaaa-1"', b'"aaaa-7"'), *lines[2:]],
         "expected id aaaa-1, got aaaa-7"),
        (lambda lines: lines + written(OTHER, 1, "c" * 64, 200.0),
         "trail bbbb: expected the record before it, of another trail, got none"),
    ],
)  # fmt: skip
def test_what_was_done_to_records_shows(
    change: Callable[[list[Line]], list[Line]], problem: str
) -> None:
    problems = found(change(written(ONE, 4))).problems

    assert any(problem in one for one in problems), problems


def test_a_trail_that_goes_on_from_one_whose_end_is_gone_shows() -> None:
    lines = written(ONE, 3)
    later = written(OTHER, 1, hashed(lines[-1]), 200.0)

    assert found(lines + later).problems == []
    assert "trail bbbb: expected the record before it" in found(lines[:4] + later).problems[0]


def test_an_end_that_is_gone_shows_against_an_earlier_report() -> None:
    lines = written(ONE, 3)
    known = found(lines).trails

    assert found(written(ONE, 5), known=known).problems == []
    assert found(lines[:4]).problems == []
    for left, problem in (
        (lines[:4], "expected record 3, which was there before, got none"),
        ([], "expected record 3, which was there before, got none"),
        (written(ONE, 3, at_s=7.0), "as the hash of record 3, as before, got"),
    ):
        assert any(problem in one for one in found(left, known=known).problems)


def test_what_one_visitor_agreed_to_is_told_as_far_as_it_is_proven() -> None:
    lines = written(ONE, 2)
    lines += [encode(id="x", type="agreed", received=1.0, visitor="v1", grants=["marketing"])]

    told = found(lines, of="v1").agreements
    assert [(one.number, one.grants, one.policy) for one in told] == [
        (1, ["functional"], "p1"), (2, ["functional"], "p1"),
    ]  # fmt: skip
    assert found(lines, of="v2").agreements == found(lines).agreements == []


def test_a_log_that_is_broken_everywhere_does_not_say_so_for_ever() -> None:
    lines = [encode(id=str(n), type="agreed", received=1.0) for n in range(MAX_PROBLEMS + 9)]

    assert len(found(lines).problems) == MAX_PROBLEMS


@given(st.data())
def test_any_change_to_any_record_but_the_last_shows(data: st.DataObject) -> None:
    lines = written(ONE, 4)
    place = data.draw(st.sampled_from([1, 3, 5]))
    line = lines[place]
    at = data.draw(st.integers(0, len(line) - 1))
    new = data.draw(st.integers(32, 126).filter(lambda byte: byte != line[at]))
    changed = line[:at] + bytes([new]) + line[at + 1 :]
    try:
        rows = placed([*lines[:place], changed, *lines[place + 1 :]])
    except msgspec.DecodeError:
        return
    assert audit(rows).problems or hashed(changed) == hashed(line)


def test_rows_are_read_from_files_and_others_passed_over(tmp_path: Any) -> None:
    lines = [b'{"id":"1","type":"seen","received":"never"}', *written(ONE, 2)]
    (tmp_path / "node-1-7.ndjson").write_bytes(b"\n".join(lines) + b"\n")

    assert [row.raw for row in consent_rows(open_events(str(tmp_path)))] == lines[1:]


def test_a_row_that_is_none_is_named_by_file_and_line(tmp_path: Any) -> None:
    (tmp_path / "node-1-7.ndjson").write_bytes(b'{"type":"seen"}\n{"type":"consent"}\n')

    with pytest.raises(Malformed, match=r"missing required field `id` - at node-1-7.ndjson:2"):
        list(consent_rows(open_events(str(tmp_path))))
