"""`edgewise serve`: settings in, a node that runs until it is told to stop."""

from __future__ import annotations

import argparse
import os
from typing import Any

from edge import config
from edge.errors import SettingError
from edge.settings import load


def configure(parser: argparse.ArgumentParser) -> None:
    """One flag per setting, with its reason and default as help."""
    parser.add_argument(
        "--config", metavar="FILE", help="settings as TOML; flags and EDGEWISE_* beat it"
    )
    for setting in config.settings():
        given: dict[str, Any] = {"dest": setting.name, "default": None, "help": _help(setting)}
        if setting.type is bool:
            parser.add_argument(setting.flag, action=argparse.BooleanOptionalAction, **given)
        else:
            parser.add_argument(
                setting.flag, metavar=(setting.unit or setting.name).upper(), **given
            )


def _help(setting: config.Setting) -> str:
    default = ",".join(setting.default) if isinstance(setting.default, tuple) else setting.default
    shown = f" (default {default})" if default not in ("", False) else ""
    return (setting.reason + shown).replace("%", "%%")


def settings_of(arguments: argparse.Namespace) -> config.Config:
    """The settings of a command that takes them as flags."""
    known = {setting.name for setting in config.settings()}
    flags = {name: value for name, value in vars(arguments).items() if name in known}
    return load(flags, os.environ, arguments.config or os.environ.get("EDGEWISE_CONFIG"))


def run(arguments: argparse.Namespace) -> int:
    """Serves until SIGTERM or Ctrl-C."""
    settings = settings_of(arguments)
    if not settings.store:
        raise SettingError("expected a store to follow, got none - at --store or EDGEWISE_STORE")
    from edge import node  # the server is loaded by those who serve

    return node.serve(settings, lambda text: print(text, flush=True))
