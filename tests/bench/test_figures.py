"""Which figure counts, and when a budget is kept."""

from __future__ import annotations

import pytest

from bench import __main__ as runner
from bench.figures import HERE, Answer, Budget, read_budgets

AT_MOST = {"us": Budget("at most", "µs", max=10)}
AT_LEAST = {"us": Budget("at least", "µs", min=10)}


def answer(figure: float, took_s: float = 1.0, error: str = "") -> Answer:
    return Answer({"us": figure}, 1, "abc", "", error, took_s=took_s)


def test_every_question_has_its_file() -> None:
    assert all((HERE / f"{question}.py").exists() for question in read_budgets())


def test_a_figure_that_was_not_measured_keeps_no_budget() -> None:
    assert answer(3.0).breaches(AT_MOST) == []
    assert answer(30.0).breaches(AT_MOST) == ["us"]
    assert Answer({}, 1, "", "").breaches({"us": Budget("shown only")}) == ["us"]


def test_of_two_attempts_the_figure_further_from_a_breach_counts() -> None:
    assert answer(30.0).with_better(answer(20.0), AT_MOST).figures == {"us": 20.0}
    assert answer(30.0).with_better(answer(20.0), AT_LEAST).figures == {"us": 30.0}
    assert answer(30.0).with_better(answer(20.0), AT_MOST).attempts == 2


def asked(monkeypatch: pytest.MonkeyPatch, found: list[Answer]) -> tuple[Answer, int]:
    """What comes of these answers in turn, and how many of them were needed."""
    turns = iter(found)
    monkeypatch.setattr(runner, "run", lambda _: next(turns))
    given = runner.ask(["swap"], {"swap": AT_MOST})["swap"]
    return given, len(found) - len(list(turns))


def test_a_breach_is_measured_twice_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, [answer(30.0), answer(20.0), answer(25.0)]) == (
        Answer({"us": 20.0}, 3, "abc", "", took_s=1.0),
        3,
    )


def test_what_holds_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, [answer(3.0), answer(2.0)])[1] == 1


def test_a_question_that_fails_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, [answer(30.0, error="broken"), answer(2.0)])[1] == 1


def test_a_breach_is_not_measured_again_without_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, [answer(30.0, took_s=runner.WITHIN_S + 1), answer(2.0)])[1] == 1
