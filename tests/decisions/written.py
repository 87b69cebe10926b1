"""A small playbook in memory, and ways to change it."""

from __future__ import annotations

from typing import Any

import msgspec

from decisions.compiling import compile_playbook
from decisions.errors import PlaybookErrors, Problem
from decisions.playbook import (
    FragmentText,
    Rule,
    SegmentDecl,
    Settings,
    WrittenPlaybook,
)
from decisions.program import Program

SETTINGS: dict[str, Any] = {
    "name": "grocer",
    "bands": ["service", "campaign", "evergreen"],
    "slots": {
        "hero": {"default": "hero/welcome"},
        "promo": {"default": "promo/none"},
        "feed": {"default": "feed/none", "json": True},
    },
    "goals": {"order": {"on": "purchase", "value": "price", "window": "7d"}},
    "attributes": {
        "traits.first_name": {
            "type": "string",
            "purpose": "personalization",
            "needs": "authenticated",
        },
        "scores.propensity": {"type": "double", "purpose": "personalization"},
    },
    "sensitive_values": {"category": ["pharmacy"]},
    "signals": [
        {"on": "product_view", "interest": {"key": "category", "add": 1}},
        {"on": "add_to_cart", "interest": {"key": "category", "add": 3}, "cart": "add"},
        {"on": "purchase", "interest": {"key": "category", "add": 5}, "cart": "clear"},
        {"on": "article_read"},
    ],
    "tags": {
        "cart_abandoner": 'cart.items > 0 && now - cart.updated_at >= duration("15m")',
        "category_browser": "session.views.exists(c, session.views[c] > 5)",
        "engaged_reader": "counts.article_read >= 3",
    },
    "timezone": "Europe/Paris",
}
FRAGMENTS: dict[str, str] = {
    "hero/welcome": "<h1>Welcome</h1>",
    "hero/cart": "<p>{{cart.items}} in your cart.{{#cta}} <a>{{cta}}</a>{{/cta}}</p>",
    "hero/shoes": "<p>Shoes{{#traits.first_name}} for {{.}}{{/traits.first_name}}</p>",
    "hero/loyal": "<p>Welcome back</p>",
    "promo/none": "",
    "promo/spring": "<p>Spring</p>",
    "feed/none": "{}",
}
SEGMENTS: dict[str, str] = {
    "loyal": 'purchases.orders["90d"] >= 10',
    "patient": 'spend_90d["pharmacy"] > 0.0',
}
OFFER: dict[str, Any] = {
    "unit": "visitor",
    "goal": "order",
    "traffic": 50,
    "variants": {
        "plain": {"weight": 50, "show": "hero/cart"},
        "code": {"weight": 50, "show": "hero/cart", "with": {"cta": "Save 10 %"}},
    },
}
RULES: list[dict[str, Any]] = [
    {
        "id": "spring",
        "slot": "promo",
        "band": "campaign",
        "when": 'geo.country == "FR"',
        "show": "promo/spring",
        "from": "2027-03-01",
        "until": "2027-03-31",
    },
    {
        "id": "shoes",
        "slot": "hero",
        "band": "evergreen",
        "when": 'interest["shoes"] >= 40',
        "show": "hero/shoes",
    },
    {
        "id": "cart-offer",
        "slot": "hero",
        "band": "campaign",
        "when": "cart.items > 0",
        "experiment": OFFER,
    },
    {
        "id": "cart-rescue",
        "slot": "hero",
        "band": "service",
        "when": '"cart_abandoner" in tags && scores.propensity > 0.4',
        "show": "hero/cart",
        "with": {"cta": "Take it home"},
        "cap": {"times": 3, "per": "24h"},
    },
    {
        "id": "welcome-back",
        "slot": "hero",
        "when": '"loyal" in segments && "engaged_reader" in tags',
        "show": "hero/loyal",
    },
]


def rule(id_: str, when: str, **more: Any) -> dict[str, Any]:
    """A rule for the hero that shows hero/loyal, unless `more` says otherwise."""
    shown = {} if "experiment" in more else {"show": "hero/loyal"}
    return {"id": id_, "slot": "hero", "when": when, **shown, **more}


def playbook(
    *,
    rules: list[dict[str, Any]] | None = None,
    fragments: dict[str, str] | None = None,
    segments: dict[str, str] | None = None,
    **settings: Any,
) -> WrittenPlaybook:
    """The small playbook with some of it changed; fragments are added to, the rest is replaced.

    Of its own fragments it takes what the rules show and what is a default.
    """
    wanted = repr((rules if rules is not None else RULES, SETTINGS["slots"]))
    texts = {name: text for name, text in FRAGMENTS.items() if repr(name) in wanted}
    texts |= fragments or {}
    return WrittenPlaybook(
        settings=msgspec.convert(SETTINGS | settings, Settings),
        segments={
            name: SegmentDecl(when)
            for name, when in (SEGMENTS if segments is None else segments).items()
        },
        rules=tuple(msgspec.convert(RULES if rules is None else rules, list[Rule])),
        fragments={
            name: FragmentText(
                name,
                text,
                f"fragments/{name}",
                "json" if name.startswith("feed/") else "html",
            )
            for name, text in texts.items()
        },
    )


def program(**changes: Any) -> Program:
    """The small playbook compiled, with some of it changed."""
    return compile_playbook(playbook(**changes))


def problems(**changes: Any) -> tuple[Problem, ...]:
    """What is wrong with the small playbook after these changes."""
    try:
        compile_playbook(playbook(**changes))
    except PlaybookErrors as errors:
        return errors.problems
    return ()


def complaint(code: str, says: str, **changes: Any) -> bool:
    """Whether these changes make an error of this code that says this; fails telling what came."""
    found = problems(**changes)
    assert {problem.severity for problem in found} == {"error"}
    assert any(problem.code == code and says in problem.message for problem in found), found
    return True
