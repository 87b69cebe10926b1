"""`edgewise decide PLAYBOOK|STORE --slot S --facts FILE`: what a slot would show, and why."""

from __future__ import annotations

import argparse
import difflib
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from decisions import consent
from decisions.compiling import compile_playbook
from decisions.engine import Decision
from decisions.explain import sentences, why_not
from decisions.facts import Facts
from decisions.program import Program
from decisions.rehearsal import moment_s, untaken
from decisions.schema import TIMESTAMP
from edge.errors import SettingError
from edge.published import Published, keys_in

_MARKS = {True: "yes", False: "no", None: "absent"}
GRANTS = "functional,analytics,personalization,marketing"


def configure(parser: argparse.ArgumentParser) -> None:
    """Where the rules come from, and who the visitor is."""
    parser.add_argument("source", metavar="PLAYBOOK|STORE", help="a playbook's folder, or a store")
    parser.add_argument("--slot", required=True, help="the slot to fill")
    parser.add_argument(
        "--facts", metavar="FILE", help="nested facts as YAML or JSON, - for stdin (default none)"
    )
    parser.add_argument(
        "--grants", default=GRANTS, help=f"granted purposes, comma-separated (default {GRANTS})"
    )
    parser.add_argument("--unit", default="", help="what experiments split by; without it none is")
    parser.add_argument("--now", metavar="TIME", help="a date or RFC 3339 time (default: now)")
    parser.add_argument(
        "--explain", action="store_true", help="a sentence for every rule looked at"
    )
    parser.add_argument(
        "--why-not", metavar="RULE", help="what kept a rule from the slot, condition by condition"
    )
    parser.add_argument("--render", action="store_true", help="print the fragment's text, too")
    parser.add_argument("--channel", default="live", help="of a store (default live)")
    parser.add_argument("--keys", metavar="DIR", help="check a store's signature by these keys")


def run(arguments: argparse.Namespace) -> int:
    """Prints the decision; 1 for a slot that there is not."""
    program = _program(arguments)
    if arguments.slot not in program.slots:
        known = ", ".join(program.slots)
        raise SettingError(f"expected one of {known}, got {arguments.slot!r} - at --slot")
    now_s = read_moment(arguments.now, time.time(), program.timezone, "--now")
    given = read_facts(arguments.facts, program, now_s)
    facts = program.facts(given, read_grants(arguments.grants), now_s)
    unit = arguments.unit or None
    decision = program.decide(arguments.slot, facts, unit=unit, explain=arguments.explain)
    variant = f", variant {decision.variant}" if decision.variant else ""
    rule = f", rule {decision.rule}" if decision.rule else ""
    print(f"{decision.slot}: {decision.fragment or 'nothing'} ({decision.reason}{rule}{variant})")
    if arguments.explain:
        for sentence in sentences(program, decision, facts):
            print(f"  {sentence}")
    if arguments.why_not:
        _print_why_not(program, arguments.why_not, decision, facts, unit)
    if arguments.render:
        print(program.render(decision, facts))
    return 0


def _print_why_not(
    program: Program, rule: str, decision: Decision, facts: Facts, unit: str | None
) -> None:
    try:
        told = why_not(program, rule, decision, facts, unit=unit)
    except KeyError:
        known = [each.id for each in program.slots[decision.slot].rules]
        near = difflib.get_close_matches(rule, known, 1)
        hint = f", did you mean {near[0]}?" if near else ""
        what = f"expected a rule of slot {decision.slot}, got {rule!r}{hint}"
        raise SettingError(f"{what} - at --why-not") from None
    print(f"why not {rule}:")
    for sentence in told.sentences:
        print(f"  {sentence}")
    for condition in told.conditions:
        print(f"  [{_MARKS[condition.holds]}] {condition.text}: {condition.said}")


def _program(arguments: argparse.Namespace) -> Program:
    if (Path(arguments.source) / "playbook.yaml").exists():
        from snapshots.build import read_playbook

        return compile_playbook(read_playbook(arguments.source))
    return Published(arguments.source, arguments.channel, keys_in(arguments.keys)).program()


def read_grants(text: str, place: str = "--grants") -> int:
    """The bits of purposes, comma-separated. Raises SettingError, which names the place."""
    try:
        return consent.mask(name for name in text.split(",") if name)
    except KeyError as error:
        known = ", ".join(consent.NEEDS)
        raise SettingError(f"expected of {known}, got {error} - at {place}") from None


def read_facts(file: str | None, program: Program, now_s: float) -> dict[str, Any]:
    """The nested facts of a YAML or JSON file, times in seconds. What the program will not take of
    them is told on stderr. Raises SettingError."""
    if file is None:
        return {}
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        facts = yaml.safe_load(text)
    except OSError as error:
        raise SettingError(f"expected a file of facts, {error.strerror} - at {file}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"expected YAML or JSON, got {error} - at {file}") from None
    if not isinstance(facts, dict):
        raise SettingError(f"expected nested facts, got {type(facts).__name__} - at {file}")
    for attribute in program.schema.attributes.values():
        if attribute.type == TIMESTAMP:
            _in_seconds(facts, attribute.name, now_s, program.timezone)
    for fault in untaken(program, facts, now_s):
        where = ".".join(map(str, fault.path[1:]))
        print(f"warning: {fault.message}: it is left out - at {file}: {where}", file=sys.stderr)
    return facts


def _in_seconds(facts: dict[str, Any], name: str, now_s: float, timezone: str) -> None:
    """Times may be written as in tests.yaml: `-20m`, `2026-12-24`."""
    *groups, leaf = name.split(".")
    for group in groups:
        facts = facts.get(group, {})
        if not isinstance(facts, dict):
            return
    if leaf in facts and not isinstance(facts[leaf], (int, float)):
        facts[leaf] = read_moment(str(facts[leaf]), now_s, timezone, name)


def read_moment(text: str | None, now_s: float, timezone: str, place: str) -> float:
    """A moment as in tests.yaml; now_s for none. Raises SettingError, which names the place."""
    if text is None:
        return now_s
    try:
        return moment_s(text, now_s, timezone)
    except ValueError as error:
        raise SettingError(f"{error} - at {place}") from error
