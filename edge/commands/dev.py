"""`edgewise dev PLAYBOOK`: a node that serves a playbook while it is written.

Its folder is looked at four times a second; what changed is compiled and published beside the
segments that are there, the node follows, and pages reload themselves. A playbook with errors is
told with carets, and the last good one serves on.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from decisions.errors import PlaybookErrors
from edge.commands import check, keys
from edge.errors import CannotServe
from snapshots.errors import SnapshotError
from snapshots.keys import PRIVATE_FILE, PUBLIC_FILE, read_private, read_public
from snapshots.store import open_writable

LOOK_S = 0.25  # a scan of a hundred files takes a millisecond
POLL_S = "0.2"
STOP_S = 15.0

Seen = dict[str, tuple[int, int]]


def configure(parser: argparse.ArgumentParser) -> None:
    """Which playbook, where its state lives, and on which ports."""
    parser.add_argument("playbook", metavar="PLAYBOOK", help="its folder")
    parser.add_argument(
        "--state", default=".dev", metavar="DIR", help="folder for all it makes (default .dev)"
    )
    parser.add_argument(
        "--store", metavar="URL", help="a store with segments (default: STATE/store)"
    )
    parser.add_argument(
        "--keys", metavar="DIR", help="that store's keys (default: STATE/keys, made if missing)"
    )
    parser.add_argument("--channel", default="live", help="the line of bundles (default live)")
    parser.add_argument("--port", type=int, default=8080, help="the node (default 8080)")
    parser.add_argument("--admin-port", type=int, default=8081, help="its status (default 8081)")
    parser.add_argument(
        "--no-serve", action="store_true", help="a node follows the store already: only publish"
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs until Ctrl-C or SIGTERM; 1 if the node ends before that."""
    folder, state = Path(arguments.playbook), Path(arguments.state)
    key_folder = Path(arguments.keys) if arguments.keys else state / "keys"
    if not folder.is_dir():
        raise CannotServe(f"expected the folder of a playbook, got none - at {folder}")
    state.mkdir(parents=True, exist_ok=True)
    if not arguments.keys and not key_folder.exists():
        keys.create(key_folder, demo=True)
    store = arguments.store or str(state / "store")
    author = Author(folder, store, key_folder, arguments.channel)
    signal.signal(signal.SIGTERM, _interrupt)
    author.look()  # a playbook that cannot be read at all may still be mended
    if arguments.no_serve:
        return _watch(author, lambda: True)
    with _node(_command(arguments, store, key_folder, state)) as node:
        return _watch(author, lambda: node.poll() is None)


class Author:
    """What was published last of a folder, and what is told of it."""

    def __init__(
        self,
        folder: Path,
        store: str,
        key_folder: Path,
        channel: str,
        say: Callable[[str], None] = lambda text: print(text, flush=True),
    ) -> None:
        """Raises SnapshotError for a store or keys that cannot be used."""
        self.folder, self.channel, self.say = folder, channel, say
        self.store = open_writable(store)
        self.key = read_private(key_folder / PRIVATE_FILE)
        public = key_folder / PUBLIC_FILE
        self.trusted = read_public(public) if public.exists() else {}
        self._seen: Seen = {}

    def look(self) -> bool:
        """Publishes what changed since the last look; whether something had."""
        seen = files_of(self.folder)
        if seen == self._seen:
            return False
        self._seen = seen
        started = time.perf_counter()
        try:
            self._publish(started)
        except (PlaybookErrors, SnapshotError) as error:
            self.say(f"{error}\nnot published: the last good version is still served")
        return True

    def _publish(self, started: float) -> None:
        from snapshots.build.republish import republish

        written, problems = check.look(self.folder)
        if written is None or any(problem.severity == "error" for problem in problems):
            raise PlaybookErrors(problems)
        for problem in problems:
            self.say(str(problem))
        made = republish(
            written, self.store, self.channel, self.key, keys=self.trusted, now_s=time.time()
        )
        if made.stale:
            named = ", ".join(made.stale)
            self.say(f"not computed as written, until `edgewise build --data`: segments {named}")
        took = time.perf_counter() - started
        self.say(f"version {made.version}: {len(written.rules)} rules, {took:.2f} s")


def files_of(folder: Path) -> Seen:
    """Every file below, but for hidden ones: its time and size."""
    found: Seen = {}
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(root, name)
            try:
                told = path.stat()
            except FileNotFoundError:  # an editor's temporary file
                continue
            found[str(path)] = (told.st_mtime_ns, told.st_size)
    return found


def _watch(author: Author, goes_on: Callable[[], bool]) -> int:
    while goes_on():
        time.sleep(LOOK_S)
        author.look()
    return 1


def _command(arguments: argparse.Namespace, store: str, key_folder: Path, state: Path) -> list[str]:
    from edge.node import free_port

    port = free_port("127.0.0.1", arguments.port)
    admin = free_port("127.0.0.1", arguments.admin_port)
    print(f"every slot: http://127.0.0.1:{port}/_ew/preview", flush=True)
    return [
        *(sys.executable, "-m", "edge.cli", "serve", "--dev", "--workers", "1"),
        *("--store", store, "--channel", arguments.channel, "--keys", str(key_folder)),
        *("--cache", str(state / "cache"), "--port", str(port), "--admin", f"127.0.0.1:{admin}"),
        *("--poll-interval-s", POLL_S, "--follow-interval-s", "0.1", "--drain-s", "0"),
    ]


@contextmanager
def _node(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A node that ends with this block."""
    process = subprocess.Popen(command)  # noqa: S603 # our own command
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:  # pragma: no cover - a node that hangs
            process.kill()
            process.wait()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
