"""The settings of docs/operations.md, made from the Config: `python -m tests.edge.settings_table`
writes them; a test keeps them in step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.config import settings

PAGE = Path(__file__).parent.parent.parent / "docs" / "operations.md"
START, END = "<!-- settings: generated -->\n", "<!-- /settings -->\n"


def table() -> str:
    """The rows, in the order of the struct."""
    rows = ["| setting | default | what it is for |", "|---|---|---|"]
    for setting in settings():
        unit = f" {setting.unit}" if setting.unit else ""
        rows.append(f"| `{setting.name}` | {_shown(setting.default)}{unit} | {setting.reason} |")
    return "\n".join([*rows, ""])


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return f"`{','.join(default)}`" if default else "none"
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, int | float):
        return f"{default:,}" if default >= 10_000 else f"{default:g}"
    return f"`{default}`" if default else "none"


def page() -> str:
    """The page with the table as it must be."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    return f"{head}{START}{table()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
