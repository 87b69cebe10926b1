"""The one command: words in, an exit code out: 0 done, 1 found wrong or failed, 2 asked wrongly.

Thin on purpose: each command is a file in `edge.commands`, loaded only when it is called. Whatever
goes wrong is said once, on stderr, with what was expected, what came and where.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Sequence

from decisions.errors import DecisionsError, PlaybookErrors
from edge.errors import EdgeError, SettingError
from snapshots.errors import DataRefused, SnapshotError

COMMANDS = {
    "demo": "build the example shop from public data, publish it, serve it",
    "new": "a small playbook to start from",
    "check": "every error and warning of a playbook",
    "privacy": "a record of processing, inferred from a playbook",
    "schema": "JSON Schemas of a playbook's files, for editors",
    "test": "run the playbook's own tests",
    "dev": "serve a playbook while it is written; pages reload themselves",
    "build": "make a snapshot from a playbook and data, sign and publish it",
    "serve": "run an edge node",
    "decide": "what a slot would show for given facts, and why",
    "preview": "a token that shows on the live site what was decided, and other variants",
    "replay": "make a decision once more from its token, and say whether it comes out the same",
    "inspect": "what a store holds",
    "verify": "check every signature and hash of a store's newest version",
    "diff": "what differs between two versions, and how many visitors it changes",
    "renew": "the newest version once more, with a new date",
    "rollback": "the parts of an earlier version, under a new number",
    "pause": "stop a rule, a slot or an experiment at once; or say what is stopped",
    "resume": "let go on what was paused",
    "promote": "what one channel has becomes another's next version",
    "erase": "forget visitors and customers on every node, and in every version to come",
    "retain": "event rows that are too old, or of who is forgotten, leave the store",
    "export": "all that a store holds of one person, as one document",
    "audit": "whether the consent records of event files hold together, and who agreed to what",
    "gc": "what no version needs any more, listed or removed",
    "keys": "make, rotate and retire keys",
    "health": "ask the node on this machine whether it is alive, or ready",
}
_TOKEN = re.compile(r"-[\w-]{51}", re.ASCII)  # no option is as long, nor holds only these
DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command."""
    words = _tokens_last(sys.argv[1:] if argv is None else argv)
    parser = _parser(next((word for word in words if word in COMMANDS), ""))
    try:
        arguments = parser.parse_args(words)
    except SystemExit as exit_:  # argparse has printed its help or its complaint
        return int(exit_.code or 0)
    try:
        return int(arguments.run(arguments))
    except (PlaybookErrors, DataRefused) as error:
        return _complain(str(error), FAILED)
    except SettingError as error:
        return _complain(f"edgewise: error: {error}", MISUSED)
    except (EdgeError, SnapshotError, DecisionsError) as error:
        return _complain(f"edgewise: error: {error}", FAILED)
    except BrokenPipeError:  # `edgewise … | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED


def _tokens_last(words: Sequence[str]) -> list[str]:
    """An `x` token may begin with `-`: behind `--` it is no option."""
    tokens = [word for word in words if _TOKEN.fullmatch(word)]
    return [word for word in words if word not in tokens] + (["--", *tokens] if tokens else [])


def _complain(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


def _parser(chosen: str) -> argparse.ArgumentParser:
    """The parser; only the chosen command's module is loaded and asked for its arguments."""
    parser = argparse.ArgumentParser(
        prog="edgewise", description="A personalization decision engine for the CDN edge."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, sentence in COMMANDS.items():
        command = commands.add_parser(
            name, help=sentence, description=sentence[0].upper() + sentence[1:] + "."
        )
        if name == chosen:
            module = importlib.import_module(f"edge.commands.{name}")
            module.configure(command)
            command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
