"""How long do others take for the same decisions? One run, the same visitors, the same answers.

Everybody gets a plain dict and gives the number of the first rule that matches. Each rival is used
the way its documentation calls fastest, of several ways tried: compiled beforehand, conditions in
the order that fails soonest, and facts in the shape that it reads best (segments as a map of `true`
instead of a list halves JSONLogic's time and takes nine tenths off GrowthBook's). What shapes the
facts is not timed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple, TypeAlias

import cel
import datalogic_py
import zen
from growthbook import GrowthBook
from pytest_benchmark.fixture import BenchmarkFixture

from bench import workload
from bench.measure import interleaved, median, report, timed
from bench.workload import Condition
from decisions.compiling import compile_playbook

Facts: TypeAlias = dict[str, Any]
Rules: TypeAlias = Sequence[Condition]

SIZES = (100, 1_000)
GRANTS = frozenset({"functional", "personalization"})
VISITORS = workload.visitors(250)
MAPPED = [facts | {"segments": dict.fromkeys(facts["segments"], True)} for facts in VISITORS]
CEL_CHAIN = 20  # alternatives in one CEL text: beyond some forty, the parser finds it too deep


class Rival(NamedTuple):
    """decide: what is timed. place: the number of the rule in what it gives."""

    decide: Callable[[Facts], Any]
    visitors: Sequence[Facts] = MAPPED
    place: Callable[[Any], int] = int


def edgewise(rules: Rules) -> Rival:
    """This engine, consent and steps included."""
    written = workload.playbook([rule.cel() for rule in rules])
    program = compile_playbook(written, allow_shadowed=True)
    return Rival(
        lambda facts: program.decide("hero", facts, grants=GRANTS, now=workload.NOW_S),
        VISITORS,
        lambda decision: int(decision.rule.removeprefix("hero-")),
    )


def scan(rules: Rules) -> Rival:
    """A loop over tuples: what a careful Python programmer writes in an afternoon."""
    rows = [(frozenset(rule.segments), rule, place) for place, rule in enumerate(rules)]
    flat = [
        (needs, rule.countries, rule.kind, rule.category, rule.at_least, rule.hours, place)
        for needs, rule, place in rows
    ]

    def decide(facts: Facts) -> int:
        segments, interest = facts["segments"], facts["interest"]
        country, device = facts["geo"]["country"], facts["device"]["kind"]
        hour = facts["time"]["hour"]
        for needs, countries, kind, category, at_least, hours, place in flat:
            if (
                needs <= segments
                and (not countries or country in countries)
                and (not kind or kind == device)
                and (not category or interest.get(category, -1.0) >= at_least)
                and (not hours or hours[0] <= hour <= hours[1])
            ):
                return place
        return -1

    return Rival(decide, VISITORS)


def generated(rules: Rules) -> Rival:
    """The rules as the source of one Python function: the fastest that a scan can be here."""
    lines = [
        "def decide(facts):",
        "    segments, interest = facts['segments'], facts['interest'].get",
        "    country, kind = facts['geo']['country'], facts['device']['kind']",
        "    hour = facts['time']['hour']",
    ]
    for place, rule in enumerate(rules):
        parts = [f"{segment!r} in segments" for segment in rule.segments]
        parts += [f"country in {rule.countries!r}"] if rule.countries else []
        parts += [f"kind == {rule.kind!r}"] if rule.kind else []
        parts += [f"interest({rule.category!r}, -1.0) >= {rule.at_least}"] if rule.category else []
        parts += ["{} <= hour <= {}".format(*rule.hours)] if rule.hours else []
        lines.append(f"    if {' and '.join(parts) or 'True'}: return {place}")
    made: dict[str, Any] = {}
    exec("\n".join(lines), made)  # noqa: S102 # of rules that this file's own workload draws
    return Rival(made["decide"], VISITORS)


def growthbook(rules: Rules) -> Rival:
    """One feature of forced values, evaluated locally by an instance that is kept."""

    def forced(place: int, rule: Condition) -> Facts:
        condition: Facts = {f"segments.{segment}": True for segment in rule.segments}
        if rule.countries:
            condition["geo.country"] = {"$in": list(rule.countries)}
        if rule.kind:
            condition["device.kind"] = rule.kind
        if rule.category:
            condition[f"interest.{rule.category}"] = {"$gte": rule.at_least}
        if rule.hours:
            condition["time.hour"] = {"$gte": rule.hours[0], "$lte": rule.hours[1]}
        return {"force": place} | ({"condition": condition} if condition else {})

    feature = {"defaultValue": -1, "rules": [forced(*each) for each in enumerate(rules)]}
    instance = GrowthBook(features={"hero": feature})

    def decide(facts: Facts) -> Any:
        instance.set_attributes(facts)
        return instance.get_feature_value("hero", -1)

    return Rival(decide)


def zen_expression(rules: Rules) -> Rival:
    """One expression, a list of every rule's truth: chains of some fifty `? :` it does not parse in
    useful time, and shorter ones take longer in all, since each converts the facts anew."""

    def when(rule: Condition) -> str:
        parts = [f"segments.{segment} == true" for segment in rule.segments]
        if rule.countries:
            parts.append(f"geo.country in {json.dumps(rule.countries)}")
        if rule.kind:
            parts.append(f'device.kind == "{rule.kind}"')
        if rule.category:
            parts.append(f"(interest.{rule.category} ?? -1) >= {rule.at_least}")
        if rule.hours:
            parts.append(f"time.hour in [{rule.hours[0]}..{rule.hours[1]}]")
        return " and ".join(parts) or "true"

    expression = zen.compile_expression(f"[{', '.join(map(when, rules))}]")
    return Rival(lambda facts: expression.evaluate(facts).index(True))


def zen_table(rules: Rules) -> Rival:
    """A decision table, first hit; equality, lists and hours are cells that its index takes.

    Evaluating a graph switches to another thread and back, which is most of the time for few rules
    and grows on a busy machine. An expression runs where it is called.
    """
    fields = {"segments": "", "interest": "", "g": "geo.country", "d": "device.kind"}
    fields["h"] = "time.hour"

    def row(place: int, rule: Condition) -> dict[str, str]:
        cells = {"_id": f"r{place}", "place": str(place)}
        cells["segments"] = " and ".join(f"segments.{segment}" for segment in rule.segments)
        cells["g"] = ", ".join(f'"{country}"' for country in rule.countries)
        cells["d"] = f'"{rule.kind}"' if rule.kind else ""
        if rule.category:
            cells["interest"] = f"(interest.{rule.category} ?? -1) >= {rule.at_least}"
        if rule.hours:
            cells["h"] = ", ".join(map(str, range(rule.hours[0], rule.hours[1] + 1)))
        return cells

    content = {
        "hitPolicy": "first",
        "inputs": [{"id": name, "name": name, "field": field} for name, field in fields.items()],
        "outputs": [{"id": "place", "name": "place", "field": "place"}],
        "rules": [row(*each) for each in enumerate(rules)],
    }
    nodes = [
        {"id": "in", "type": "inputNode", "name": "in"},
        {"id": "table", "type": "decisionTableNode", "name": "table", "content": content},
    ]
    edges = [{"id": "edge", "sourceId": "in", "targetId": "table", "type": "edge"}]
    graph = zen.ZenDecisionContent(json.dumps({"nodes": nodes, "edges": edges}))
    decision = zen.ZenEngine().create_decision(graph)
    return Rival(decision.evaluate, place=lambda given: int(given["result"]["place"]))


def cel_rust(rules: Rules) -> Rival:
    """Programs of twenty alternatives each, over one context: a quarter off a program a rule."""

    def when(rule: Condition) -> str:
        key = f'interest["{rule.category}"]'
        return rule.cel().replace(key, f'"{rule.category}" in interest && {key}')

    chains = []
    for start in range(0, len(rules), CEL_CHAIN):
        chain = "-1"
        for place in reversed(range(start, min(len(rules), start + CEL_CHAIN))):
            chain = f"{when(rules[place])} ? {place} : {chain}"
        chains.append(cel.compile(chain))

    def decide(facts: Facts) -> Any:
        context = cel.Context(facts)
        for program in chains:
            if (place := program.execute(context)) >= 0:
                return place
        return -1

    return Rival(decide)


def jsonlogic(rules: Rules) -> Rival:
    """One rule, `if … else if …`, in a session that keeps its memory."""

    def when(rule: Condition) -> Any:
        parts: list[Any] = [{"var": f"segments.{segment}"} for segment in rule.segments]
        if rule.countries:
            parts.append({"in": [{"var": "geo.country"}, list(rule.countries)]})
        if rule.kind:
            parts.append({"==": [{"var": "device.kind"}, rule.kind]})
        if rule.category:
            parts.append({">=": [{"var": [f"interest.{rule.category}", -1]}, rule.at_least]})
        if rule.hours:
            parts.append({"<=": [rule.hours[0], {"var": "time.hour"}, rule.hours[1]]})
        return {"and": parts} if parts else True

    engine = datalogic_py.Engine()
    branches = [part for place, rule in enumerate(rules) for part in (when(rule), place)]
    rule, session = engine.compile({"if": branches}), engine.session()
    return Rival(lambda facts: session.evaluate(rule, facts))


RIVALS: dict[str, Callable[[Rules], Rival]] = {
    "edgewise": edgewise,
    "generated": generated,
    "jsonlogic": jsonlogic,
    "scan": scan,
    "zen": zen_expression,
    "zen_table": zen_table,
    "cel": cel_rust,
    "growthbook": growthbook,
}
PACKAGES = {
    "jsonlogic": "datalogic-py",
    "zen": "zen-engine",
    "cel": "common-expression-language",
    "growthbook": "growthbook",
}


def answers(rival: Rival) -> list[int]:
    """The rule that each visitor gets."""
    return [rival.place(rival.decide(facts)) for facts in rival.visitors]


def test_rivals(benchmark: BenchmarkFixture) -> None:
    contenders, figures = {}, {}
    for size in SIZES:
        rules = workload.w1(size)
        rivals = {name: made(rules) for name, made in RIVALS.items()}
        expected = answers(rivals["scan"])
        for name, rival in rivals.items():
            assert answers(rival) == expected, name
            contenders[f"{name}_{size}"] = timed(rival.decide, rival.visitors)
        figures[f"last_rule_{size}_percent"] = 100 * expected.count(size - 1) / len(expected)
    rounds = interleaved(benchmark, contenders)
    for name, found in rounds.items():
        figures[f"{name}_p50_us"] = median(times.p50_us for times in found)
    versions = {name: f"{package} {version(package)}" for name, package in PACKAGES.items()}
    report(benchmark, figures, versions)
