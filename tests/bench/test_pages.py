"""The numbers in the pages are the numbers in the results."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import pages
from bench.figures import Answer, Budget, Results, latest, read_budgets

BUDGETS = {
    "swap": {
        "p99_us": Budget("a swap, {other}", "µs", max=50, readme="p50 {p50_us}, p99 {p99_us} µs"),
        "ratio": Budget("against another", "%", min=0.65, readme="{later} %"),
        "shown_us": Budget("shown only", "µs"),
    }
}
ANSWER = Answer(
    {"p50_us": 9.04, "p99_us": 61.0, "ratio": 0.7, "shown_us": 1_234.0},
    attempts=1,
    commit="abc",
    at="",
    versions={"other": "other-engine 2.1"},
    paces={"p99_us": 1.2, "ratio": 1.2},
)
RESULTS = Results({"processor": "Some", "cores": "2"}, {"swap": ANSWER})


def test_the_readme_shows_what_the_committed_results_say() -> None:
    made = pages.block(latest(), read_budgets())
    hint = "python -m bench report writes it"
    assert pages.with_block(pages.README, made) == pages.README.read_text(encoding="utf-8"), hint


def test_the_page_of_operations_shows_what_the_committed_results_say() -> None:
    made = pages.bears(latest(), read_budgets())
    shown = pages.with_block(pages.OPERATIONS, made)
    assert shown == pages.OPERATIONS.read_text(encoding="utf-8"), "python -m bench report writes it"


def test_the_page_of_figures_shows_what_the_committed_results_say() -> None:
    made = pages.page(latest(), read_budgets())
    assert made == pages.PAGE.read_text(encoding="utf-8"), "python -m bench report writes it"


def test_the_readme_has_at_most_twelve_rows() -> None:
    rows = [budget for known in read_budgets().values() for budget in known.values()]
    assert sum(bool(budget.readme) for budget in rows) <= pages.MAX_ROWS


def test_the_block_shows_the_figures_a_budget_names_and_the_versions_measured() -> None:
    row = "| a swap, other-engine 2.1 | ≤ 50 µs | p50 9.04, p99 61 µs |"
    assert row in pages.block(RESULTS, BUDGETS)


def test_a_row_whose_figure_is_not_measured_waits() -> None:
    assert "against another" not in pages.block(RESULTS, BUDGETS)


def test_a_question_without_an_answer_has_no_row() -> None:
    nothing = Results({}, {})
    assert "a swap" not in pages.block(nothing, BUDGETS)
    assert "a swap" not in pages.page(nothing, BUDGETS)


def test_the_table_tells_a_breach_from_what_holds_and_from_what_is_only_shown() -> None:
    lines = {line.split("  ")[1]: line for line in pages.table({"swap": ANSWER}, BUDGETS)[2:]}
    assert lines["a swap, other-engine 2.1"].endswith("61 µs    1.20  BREACHED")
    assert lines["against another"].endswith("0.7 %          ok")
    assert lines["shown only"].endswith("1,234 µs    1.00")
    assert lines["p50_us"].endswith("9.04")


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("nothing here", encoding="utf-8")
    with pytest.raises(ValueError, match=r"at README\.md"):
        pages.with_block(page, "")
