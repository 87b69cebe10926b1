"""Why a slot shows what it shows, told to whom it is shown: in plain words, and with no name of a
rule, a fragment or a variant, which are the site's own business.

What is said comes from the facts that decided, as in `explain`: what is not granted cannot be told.
A condition without words of its own is told by what it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from decisions.conditions import VERBS, Weighing, reads, told, tree_of
from decisions.engine import HELD, Decision
from decisions.facts import Facts
from decisions.program import Program
from decisions.reasons import Reason
from decisions.rules.syntax import Attr, Binary, Call, Expr, Index, ListOf, Literal
from decisions.tables import Tag

MOST_CLAUSES = 8
EVERYBODY, FOR_EVERYBODY = "What everybody sees", "it is for everybody"
FORMS: dict[Reason, str] = {
    Reason.MATCH: "Chosen because {why}.",
    Reason.SPLIT: "Chosen because {why}; which of several versions it is, chance decided.",
    Reason.DEFAULT: EVERYBODY + ": nothing that is known and may be used chose otherwise.",
    Reason.HOLDOUT: EVERYBODY + ": chance put you among those for whom nothing is chosen, so that "
    "there is something to compare with.",
    Reason.PAUSED: EVERYBODY + ": choosing is switched off here.",
}
FAILED = EVERYBODY + ": choosing failed."

WORDS: dict[str, str] = {
    "geo.country": "the country of your request",
    "geo.region": "the region of your request",
    "geo.continent": "the continent of your request",
    "geo.city": "the city of your request",
    "device.kind": "the kind of your device",
    "device.os": "the system of your device",
    "device.browser": "your browser",
    "page.path": "the address of the page",
    "page.category": "the category of the page",
    "referrer.host": "the site you came from",
    "locale": "your language",
    "now": "the time",
    "time.hour": "the hour",
    "time.weekday": "the day of the week",
    "time.date": "the date",
    "local.zone": "your time zone",
    "local.hour": "the hour where you are",
    "local.weekday": "the day of the week where you are",
    "local.date": "the date where you are",
    "cart.items": "the number of pieces in your cart",
    "cart.value": "the value of your cart",
    "cart.lines": "the number of different products in your cart",
    "cart.products": "the products in your cart",
    "cart.updated_at": "the last change of your cart",
    "visitor.new": "whether this is your first visit",
    "visitor.visits": "the number of your visits",
    "visitor.first_seen": "your first visit",
    "session.started_at": "the beginning of this session",
    "session.campaign": "the campaign that this session came by",
    "session.seconds": "the seconds since this session began",
    "session.views": "what you looked at in this session",
    "interest": "your interests",
    "counts": "how often you did something",
    "segments": "the groups you are in",
    "tags": "what fits you just now",
}
_KEYED = {
    "interest": "your interest in “{}”",
    "session.views": "how many things you looked at in “{}” in this session",
    "counts": "how often “{}” happened",
}
_PREFIXED = {
    "interest.": "your interests by {}",
    "lists.": "your list “{}”",
    "measures.": "what was counted as “{}”",
    "traits.": "your “{}”",
    "scores.": "the site's estimate “{}”",
    "page.query.": "“{}” in the address of the page",
    "utm.": "the {} of the campaign that brought you",
}
_COMPARED = {
    "==": ("is", "is not"),
    "!=": ("is not", "is"),
    "<": ("is less than", "is not less than"),
    "<=": ("is at most", "is more than"),
    ">": ("is more than", "is at most"),
    ">=": ("is at least", "is less than"),
}
_MEMBERS = {
    "segments": ("you are in the group “{}”", "you are not in the group “{}”"),
    "tags": ("“{}” fits you just now", "“{}” does not fit you just now"),
    "cart.products": ("“{}” is in your cart", "“{}” is not in your cart"),
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def words(attribute: str, key: str | None = None) -> str:
    """An attribute, or one key of it, as a visitor would call it."""
    if key is not None and attribute in _KEYED:
        return _KEYED[attribute].format(key)
    for prefix, form in _PREFIXED.items():
        if attribute.startswith(prefix):
            told_ = form.format(attribute.removeprefix(prefix))
            return told_ if key is None else f"{told_} for “{key}”"
    return WORDS.get(attribute) or f"“{attribute}”"


def plainly(program: Program, decision: Decision, facts: Facts) -> str:
    """Why the slot shows what it does, in one sentence. facts: what was decided by."""
    last = decision.steps[-1]
    form = FORMS.get(last.reason, FAILED)
    if "{why}" not in form:
        return form
    if any((step.rule, step.detail) == (last.rule, HELD) for step in decision.steps):
        return form.format(why=f"it was {HELD}")
    rules = program.slots[decision.slot].rules
    tree = tree_of(next(rule.tree for rule in rules if rule.id == last.rule))
    weighing = Weighing(program.schema, facts, lambda name: name)
    return form.format(why=Teller(weighing, program.head.tags).why(tree))


class Teller:
    """Who tells a visitor of the conditions that they met."""

    def __init__(self, weighing: Weighing, tags: Iterable[Tag] = ()) -> None:
        self.weighing, self.tags = weighing, tags

    def why(self, expr: Expr) -> str:
        """Why an expression is true of this visitor."""
        return _joined(self._clauses(expr))

    def _clauses(self, expr: Expr) -> Iterator[str]:
        """What is said of each condition that settled an expression."""
        for part in self.weighing.settling(expr):
            holds = self.weighing.holds(part) is True
            if (body := self.weighing.witness(part, holds)) is not None:
                yield from self._clauses(body)
            elif live := self._live(part, holds):
                yield from self._clauses(live)
            else:
                yield self._said(part, holds) or _by_what_it_reads(part)

    def _live(self, expr: Expr, holds: bool) -> Expr | None:
        """The condition of the tag that an expression asks for, unless the facts brought it."""
        match expr:
            case Binary("in", Literal(str(name)), Attr("tags")):
                for tag in self.tags:
                    live = tree_of(tag.tree)
                    if tag.name == name and self.weighing.holds(live) is holds:
                        return live
        return None

    def _said(self, expr: Expr, holds: bool) -> str:
        """The words of a condition, "" for one that has none of its own."""
        match expr:
            case Literal():
                return FOR_EVERYBODY
            case Attr("visitor.new"):
                return f"this is {'' if holds else 'not '}your first visit"
            case Binary("in", Literal(str(name)), Attr(of)) if of in _MEMBERS:
                return _MEMBERS[of][not holds].format(name)
            case Binary("in", left, ListOf() as right):
                verb = "is one of" if holds else "is none of"
                return self._related(left, verb, right)
            case Binary(op, left, right) if op in _COMPARED:
                if not reads(left):
                    op, left, right = _MIRRORED.get(op, op), right, left
                return self._related(left, _COMPARED[op][not holds], right)
            case Call("has", None, (Attr(name),)):
                return f"{words(name)} is {'' if holds else 'not '}known"
            case Call(function, target, args) if function in VERBS:
                text, part = args if target is None else (target, *args)
                return self._related(text, VERBS[function][not holds], part)
        return ""

    def _related(self, left: Expr, verb: str, right: Expr) -> str:
        subject, bound = _subject(left), _subject(right)
        if not subject or not (bound or not reads(right)):
            return ""
        value = told(self.weighing.value(right))
        bound = f"{bound} ({value})" if bound else value
        return f"{subject} ({told(self.weighing.value(left))}) {verb} {bound}"


def _subject(expr: Expr) -> str:
    """What an operand is about, "" for one that has no words."""
    match expr:
        case Attr(name):
            return words(name)
        case Index(Attr(name), Literal(str(key))):
            return words(name, key)
        case Binary("-", Attr("now"), Attr(name)):
            return f"the time since {words(name)}"
    return ""


def _by_what_it_reads(expr: Expr) -> str:
    read = reads(expr)
    return f"{_joined(map(words, read))} fit" if read else FOR_EVERYBODY


def _joined(clauses: Iterable[str]) -> str:
    said = list(dict.fromkeys(clauses))
    if len(said) > MOST_CLAUSES:
        said[MOST_CLAUSES:] = [f"{len(said) - MOST_CLAUSES} more"]
    return " and ".join(said)
