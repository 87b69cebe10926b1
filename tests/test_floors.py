from __future__ import annotations

from tests.floors import ROOT, WHOLE, below


def test_a_file_under_its_floor_is_told_by_name_however_good_the_rest_is() -> None:
    covered = {"edge/app.py": 100.0, "edge/poor.py": 94.99, "snapshots/fair.py": 95.0}

    assert below(covered) == [
        "expected at least 95 % of lines and branches, got 94.99 - at edge/poor.py"
    ]


def test_what_decides_and_what_is_trusted_is_covered_whole() -> None:
    covered = {"decisions/cel/parse.py": 99.9, "snapshots/trust.py": 99.9, "snapshots/keys.py": 99}

    assert [line.rpartition(" ")[2] for line in below(covered)] == [
        "decisions/cel/parse.py",
        "snapshots/trust.py",
    ]


def test_each_floor_of_a_hundred_is_that_of_a_file_that_is_there() -> None:
    assert all(list(ROOT.glob(pattern)) for pattern in WHOLE)
