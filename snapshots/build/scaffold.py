"""A small playbook to start from, written into a new folder: all of it, or nothing.

It passes `edgewise check` and `edgewise test`, and says in comments what to change first.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from decisions.errors import PlaybookErrors, Position, Problem
from snapshots.build.editors import FOLDER, schemas

FILES: dict[str, str] = {
    "playbook.yaml": """\
# yaml-language-server: $schema=.schema/playbook.json
# What the site has: places to fill, events it reports, and what may be known of a visitor.
# docs/playbook.md explains every key.
name: my-site
timezone: UTC

# A slot is a place on a page: <edge-slot name="hero"></edge-slot>. Without a rule that matches it
# shows its default.
slots:
  hero: {default: hero/welcome}

# Rules of an earlier band go before those of a later one.
bands: [service, campaign]

# Facts of your own, from the snapshot. `purpose` is what a visitor must have agreed to.
attributes:
  traits.first_name: {type: string, purpose: personalization, needs: authenticated}

# What an event does to the live profile of a visitor.
signals:
  - {on: product_view, interest: {key: category, add: 1}}
  - {on: add_to_cart, interest: {key: category, add: 3}, cart: add}
  - {on: purchase, interest: {key: category, add: 5}, cart: clear}

goals:
  order: {on: purchase, value: price, window: 7d}

# Conditions with a name of their own: `"cart_abandoner" in tags`.
tags:
  cart_abandoner: cart.items > 0 && now - cart.updated_at >= duration("15m")

# What `edgewise check` warns of and is meant as it is: code, rule, reason. docs/checks.md has all.
silence:
  above-experiment: {cart-reminder: A basket left behind goes before any offer.}
""",
    "rules.yaml": """\
# yaml-language-server: $schema=.schema/rules.json
# The first rule that matches fills the slot: by band, then by place in this file.
# `when` is written in CEL; docs/rules.md lists what it can say.
- id: cart-reminder
  slot: hero
  band: service
  when: '"cart_abandoner" in tags'
  show: hero/cart
  cap: {times: 3, per: 24h}

- id: welcome-back
  slot: hero
  band: campaign
  when: '"loyal" in segments'
  show: hero/welcome-back

- id: shoes
  slot: hero
  band: campaign
  when: interest["shoes"] >= 40
  experiment:
    goal: order
    variants:
      plain: {weight: 50, show: hero/offer, with: {text: Shoes for every road.}}
      code: {weight: 50, show: hero/offer, with: {text: Shoes for every road. SAVE10 saves 10 %.}}
""",
    "segments.yaml": """\
# yaml-language-server: $schema=.schema/segments.json
# Named sets of visitors, computed by `edgewise build` from the data that sources.yaml describes.
loyal:
  when: purchases.orders["90d"] >= 3
  about: At least three orders in the last 90 days
""",
    "tests.yaml": """\
# yaml-language-server: $schema=.schema/tests.json
# What must be shown to whom. `edgewise test` runs these; times such as -20m count from now.
- name: A stranger is welcomed
  expect: {hero: hero/welcome}

- name: A basket left for twenty minutes is remembered
  given: {cart: {items: 2, updated_at: -20m}}
  grants: [functional, personalization]
  expect: {hero: hero/cart}

- name: Loyal customers are greeted
  given: {segments: [loyal]}
  grants: [functional, personalization]
  expect: {hero: hero/welcome-back}

- name: Nothing personal shows without consent
  given: {segments: [loyal], interest: {shoes: 80}}
  expect: {hero: hero/welcome}
""",
    "fragments/hero/welcome.html": """\
<section class="hero"><h2>Welcome</h2><p>Look around.</p></section>
""",
    "fragments/hero/welcome-back.html": """\
{{! A section shows only when its name is known; the one with ^ only when it is not. }}
<section class="hero">
  <h2>Welcome back{{#traits.first_name}}, {{.}}{{/traits.first_name}}</h2>
</section>
""",
    "fragments/hero/cart.html": """\
<section class="hero">
  <h2>Still thinking?</h2>
  <p>{{cart.items}} in your basket. <a href="/cart">Go on</a></p>
</section>
""",
    "fragments/hero/offer.html": """\
<section class="hero"><p>{{text}}</p></section>
""",
}


def files() -> dict[str, str]:
    """All that a new playbook has, by name: FILES, and the schemas that they name to editors."""
    return FILES | {f"{FOLDER}/{name}": schema.decode() for name, schema in schemas().items()}


def new_playbook(directory: str | Path) -> Path:
    """The folder of a new playbook, ready for `edgewise check` and `edgewise test`.

    The folder may be there already if it is empty; nothing is ever overwritten, and a failure
    leaves nothing behind. Raises PlaybookErrors.
    """
    target = Path(directory)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise _refused(target, f"expected a new or empty folder, got {_what(target)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".edgewise-", dir=target.parent))
    except OSError as error:
        raise _refused(target, f"expected a folder to write, got: {error.strerror}") from error
    try:
        for name, text in files().items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        draft.chmod(0o755)  # mkdtemp makes a folder for its owner only
        draft.replace(target)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise _refused(target, f"expected a folder to write, got: {error.strerror}") from error
    return target


def _what(target: Path) -> str:
    return "one with files in it" if target.is_dir() else "a file"


def _refused(target: Path, message: str) -> PlaybookErrors:
    return PlaybookErrors([Problem(code="not-new", message=message, at=Position(str(target)))])
