from __future__ import annotations

import re
from pathlib import Path

import pytest

from decisions.errors import PlaybookErrors
from decisions.features import PER_CATEGORY, TOTALS, WINDOWS
from snapshots.build.reading import read_playbook
from snapshots.build.sources import CategoryMap, read_sources
from tests.snapshots.build.market import Market

GROCER = Path(__file__).parents[3] / "examples" / "grocer"


def test_the_example_says_which_column_is_what() -> None:
    written = read_sources(GROCER)
    assert written.sources.purchases.columns.customer == "household_id"
    assert isinstance(written.sources.catalogue.category, CategoryMap)
    assert written.document.where(("scores", "propensity")).file == "sources.yaml"


def refused(market: Market, old: str, new: str) -> PlaybookErrors:
    with pytest.raises(PlaybookErrors) as caught:
        market.sources(old, new)
    return caught.value


def test_a_folder_without_sources_is_told_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PlaybookErrors, match="which column is what, got No such file"):
        read_sources(tmp_path)


def test_bytes_that_are_no_text_are_refused(market: Market) -> None:
    (market.playbook / "sources.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(PlaybookErrors, match="got other bytes"):
        read_sources(market.playbook)


def test_a_typo_in_a_key_is_refused_with_its_place_and_a_suggestion(market: Market) -> None:
    error = refused(market, "interests:", "interest:")
    assert "did you mean interests" in str(error)
    assert error.problems[0].at.file == "sources.yaml"
    assert error.problems[0].at.line > 1


def test_every_mismatch_is_told_at_once(market: Market) -> None:
    error = refused(market, "interests: {line: 2.0, top: 2}", "interests: {line: much, top: few}")
    assert len(error.problems) == 2


def test_broken_yaml_is_refused(market: Market) -> None:
    assert "yaml" in {problem.code for problem in refused(market, "files:", "files: [").problems}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("line: 2.0", "line: 0", "expected 0 < line <= 100"),
        ("top: 2", "top: 17", "1 <= top <= 16"),
        ("max: 50", "max: 0", "expected min <= max, got 1.0 and 0.0"),
        ("quantity: n, ", "", "expected a column for quantity"),
        ("Pets: pet", 'Pets: ""', "expected a category, null, or a map"),
        ("Pets: pet", "Pets: [pet]", "expected a category, null, or a map"),
        ("Bread: bakery", "Bread: {White: bakery}", "expected a category, null, or a map"),
    ],
)
def test_what_has_the_right_shape_and_no_meaning_is_refused(
    market: Market, old: str, new: str, what: str
) -> None:
    assert what in str(refused(market, old, new))


def blocks() -> list[str]:
    """The YAML blocks of the builder's page: sources.yaml, then segments."""
    page = (GROCER.parents[1] / "docs" / "builder.md").read_text(encoding="utf-8")
    return re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)


def test_the_sources_on_the_builders_page_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text(blocks()[0], encoding="utf-8")
    sources = read_sources(tmp_path).sources
    assert sources.customers is not None
    assert set(sources.customers.traits) == {"tier", "home"}


def test_the_segments_on_the_builders_page_are_those_of_the_example() -> None:
    segments = read_playbook(GROCER).segments
    for line in blocks()[1].splitlines():
        name, _, when = line.partition(": ")
        assert segments[name].when == when


def test_every_feature_is_on_the_builders_page() -> None:
    page = (GROCER.parents[1] / "docs" / "builder.md").read_text(encoding="utf-8")
    for name in (*TOTALS, "first_at", "last_at", "weekday"):
        assert f"`purchases.{name}" in page
    for measure in PER_CATEGORY:
        assert f"`{measure}_W[c]`" in page
    for window in WINDOWS:
        assert f"`{window}`" in page
