"""`edgewise privacy PLAYBOOK`: a record of processing (Article 30 GDPR), inferred from it.

What a playbook cannot know is marked for the controller to fill in, and never guessed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from decisions.compiling import compile_playbook
from decisions.processing import Processing, Purposed, processing
from decisions.profile import IDLE_S
from edge.config import Config
from edge.errors import SettingError
from edge.publishing import as_json
from snapshots.erased import KEEP_S

CONTROLLER = "**[controller]**"
DAY_S = 86_400
_DEFAULTS = Config()
_ALWAYS = f"""\
Inferred by `edgewise privacy` from the playbook: what is processed, for which purpose, where it
lies and for how long. It becomes a record of processing activities (Article 30(1) GDPR) when
everything marked {CONTROLLER} is filled in: no playbook knows that.
"""
_PURPOSES = {
    "none": "What comes with each request and needs no grant. Of the request nothing is kept, but "
    "for the page's address in rows of the event log, where `analytics` is granted.",
    "authenticated": "Read only during a sign-in: what a shared device must not show.",
}
_GRANTED = (
    "Used only while the visitor's grant of `{}` counts: without it all of this is absent, and no "
    "rule, fragment, log or metric can depend on it."
)
_SENSITIVE = f"""\
Whatever is computed from these needs the visitor's own opt-in (`sensitive`), and rows of the event
log leave them out without it. If they are special categories of data (Article 9 GDPR): {CONTROLLER}
"""
_NOT_KEPT = """\
Network addresses and user agents: of these only the country, region, city, continent and time zone,
and the kind, system and browser of the device are read, for the moment of the request. Keys of a
page's query that the playbook does not list. Ids in the event log: rows carry hashes that the
store's salt keys. The text of what was shown.
"""
_RIGHTS = (
    (
        "access, portability",
        "`GET v1/me` for the visitor, `edgewise export --subject` for you: JSON",
    ),
    ("erasure", "`DELETE v1/me`, `edgewise erase --subject`; rows go with `edgewise retain`"),
    ("objection, withdrawal", "`PUT v1/consent`: takes effect with the next request"),
    ("rectification", f"in the feeds, with the next build: {CONTROLLER}"),
)
_MEASURES = (
    "cookies are signed (HS256), `HttpOnly; Secure; SameSite=Lax`, of the site's own host only",
    "bundles are signed (Ed25519), and checked byte by byte before they are served",
    "customers, visitors and sessions stand in bundles and rows as keyed hashes (pseudonyms)",
    "what is not granted is never read; what is sensitive needs its own opt-in",
    f"transport, access to store, keys and nodes, backups: {CONTROLLER}",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Of which playbook, to where."""
    parser.add_argument("playbook", metavar="PLAYBOOK", help="its folder")
    parser.add_argument("--json", action="store_true", help="what was inferred alone, as JSON")
    parser.add_argument("--out", metavar="FILE", help="write it there (default: stdout)")


def run(arguments: argparse.Namespace) -> int:
    """Writes the record; the same playbook, the same bytes."""
    from snapshots.build import read_playbook

    written = read_playbook(Path(arguments.playbook))
    found = processing(written, compile_playbook(written))
    text = as_json(found) + "\n" if arguments.json else markdown(found)
    if not arguments.out:
        print(text, end="")
        return 0
    try:
        Path(arguments.out).write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"expected to write a file, {error.strerror}"
        raise SettingError(f"{what} - at --out {arguments.out}") from error
    return 0


def markdown(found: Processing) -> str:
    """The record for people."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Processing) -> Iterator[str]:
    yield f"# Record of processing: {found.playbook}\n"
    yield _ALWAYS
    yield from _who()
    yield "## Purposes\n"
    for purposed in found.purposes:
        if purposed.uses:
            yield from _purpose(purposed)
    yield from _sensitive(found)
    yield from _where(found)
    yield f"## What is not kept\n\n{_NOT_KEPT}"
    yield from _table("## Rights of visitors and customers", ("right", "how"), _RIGHTS)
    yield "## Security\n"
    yield from (f"* {measure}" for measure in _MEASURES)


def _who() -> Iterator[str]:
    rows = [
        ("controller, contact", CONTROLLER),
        ("representative, data protection officer", CONTROLLER),
        ("whose data", "visitors of the site; customers in the feeds that `sources.yaml` names"),
        ("recipients",
         "Edgewise hands nothing to anybody. Who runs the nodes, the store and the CDN, and reads "
         f"the event log: {CONTROLLER}"),
        ("transfers to third countries",
         f"none by Edgewise; by where nodes, store and CDN are: {CONTROLLER}"),
    ]  # fmt: skip
    yield from _table("## Who", ("", ""), rows)


def _purpose(purposed: Purposed) -> Iterator[str]:
    name = purposed.purpose
    yield f"### {name}\n"
    yield _PURPOSES.get(name) or _GRANTED.format(name)
    if not purposed.asked:
        yield "\nThe playbook's `purposes` do not list it: no grant reaches any of this."
    elif name != "authenticated":
        yield f"\nLegal basis: {CONTROLLER}"
    yield ""
    if purposed.keeps:
        yield from (f"* {kept}" for kept in purposed.keeps)
        yield ""
    rows = []
    for use in purposed.uses:
        others = [other for other in use.needs if other != name]
        rows.append((use.kind, _code(use.name), ", ".join(others), _code(use.about)))
    yield from _table("", ("what", "name", "needs also", "as the playbook has it"), rows)


def _sensitive(found: Processing) -> Iterator[str]:
    yield "## Sensitive values\n"
    if not found.sensitive:
        yield f"The playbook declares none. Is there none in the data? {CONTROLLER}\n"
        return
    yield _SENSITIVE
    yield from (f"* {name}: {', '.join(map(_code, of))}" for name, of in found.sensitive.items())
    yield ""


def _where(found: Processing) -> Iterator[str]:
    profile, consent = _DEFAULTS.profile_days, _DEFAULTS.consent_days
    rows = [
        ("consent cookie", "the visitor's device",
         f"`consent_days` ({consent} if not set) after the choice"),
        ("profile cookie", "the visitor's device",
         f"`profile_days` ({profile} if not set) after the last visit; an interest halves in "
         f"{found.half_life_days:g} days, a session ends after {IDLE_S // 60} minutes"),
        ("event log", "a node's disk, then the store",
         f"until `edgewise retain --days` removes it: {CONTROLLER}"),
        ("membership", "the store, and a copy on each node",
         "until the next build; earlier versions until `edgewise gc`"),
        ("who was erased (keyed hashes)", "the store, and a copy on each node",
         f"{KEEP_S // DAY_S} days"),
        ("feeds of the builder", "outside of Edgewise", CONTROLLER),
    ]  # fmt: skip
    yield from _table("## Where it lies, and how long", ("what", "where", "how long"), rows)


def _table(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    if title:
        yield f"{title}\n"
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _code(text: str) -> str:
    """Words of the playbook, so that no table breaks and nothing in them is markup."""
    fence = "``" if "`" in text else "`"
    room = " " if "`" in text else ""
    return f"{fence}{room}{text}{room}{fence}".replace("|", "\\|")
