"""`edgewise schema DIR`: JSON Schemas of a playbook's files, for editors."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Of which playbook."""
    parser.add_argument("directory", metavar="DIR", help="a playbook's folder")


def run(arguments: argparse.Namespace) -> int:
    """Writes them and says how a file names its own."""
    from snapshots.build.editors import schemas, write_schemas

    folder = write_schemas(arguments.directory)
    print(f"{folder}: {', '.join(schemas())}. The first line of rules.yaml names its own:")
    print(f"# yaml-language-server: $schema={folder.name}/rules.json")
    return 0
