"""`edgewise new DIR`: a small playbook to start from."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Where it goes."""
    parser.add_argument("directory", metavar="DIR", help="a new or empty folder")


def run(arguments: argparse.Namespace) -> int:
    """Writes the playbook and says what to do next."""
    from snapshots.build.scaffold import new_playbook

    folder = new_playbook(arguments.directory)
    print(f"{folder}: a playbook with three rules. Next:")
    print(f"  edgewise check {folder}")
    print(f"  edgewise test {folder}")
    return 0
