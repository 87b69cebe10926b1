"""A running `edgewise dev`: what it said, and how long until something is true."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

LIMIT_S = 60.0  # for a machine that is busy with other things


def write(folder: Path, name: str, text: str) -> None:
    """A file written anew, later by its clock than whatever was there."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    later = time.time_ns() + 10**9  # two writes within one tick of the disk's clock
    os.utime(path, ns=(later, later))


class Dev:
    """A running `edgewise dev`, and what it said."""

    def __init__(self, folder: Path, log: Path, *flags: str) -> None:
        self.log = log
        command = [sys.executable, "-m", "edge.cli", "dev", str(folder), *flags]
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until(self, true: Callable[[], bool]) -> float:
        """How long it took until something was true; fails with what was said."""
        started_s = time.monotonic()
        while not true():
            took_s = time.monotonic() - started_s
            assert self.process.poll() is None and took_s < LIMIT_S, self.said()
            time.sleep(0.05)
        return time.monotonic() - started_s

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)

    def preview(self) -> str:
        """The address of the preview, once it is served."""
        self.until(lambda: "status at" in self.said())
        found = re.search(r"http://[\d.:]+/_ew/preview", self.said())
        assert found
        self.until(lambda: _answers(found[0]))
        return found[0]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
