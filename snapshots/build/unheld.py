"""A playbook and what the data holds in; warnings of what nobody has or is in, out."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from decisions.errors import Problem
from decisions.playbook import WrittenPlaybook


def never_held(playbook: WrittenPlaybook, held: Iterable[str]) -> tuple[Problem, ...]:
    """Warnings of sensitive categories that nobody ever bought: a typo would guard nothing."""
    there = {*held, *playbook.settings.silence.get("never-held", ())}
    warnings = []
    for place, value in enumerate(playbook.settings.sensitive_values.get("category", ())):
        if value not in there:
            near = get_close_matches(value, there, 1)
            hint = f", did you mean {near[0]}?" if near else ""
            message = f"the data never holds the sensitive category {value}{hint}"
            at = playbook.where("settings", "sensitive_values", "category", place)
            warnings.append(Problem(code="never-held", message=message, at=at, severity="warning"))
    return tuple(warnings)


def nobody_in(playbook: WrittenPlaybook) -> tuple[Problem, ...]:
    """Warnings of segments that no data was ever read for: a site's first days."""
    message = "nobody is in this segment yet: there is no sources.yaml that says what to read"
    return tuple(
        Problem(
            code="no-data",
            message=f"{name}: {message}",
            at=playbook.where("segments", name),
            severity="warning",
        )
        for name in playbook.segments
    )
