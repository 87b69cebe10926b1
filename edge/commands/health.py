"""`edgewise health`: is the node on this machine alive, or ready? For containers and scripts."""

from __future__ import annotations

import argparse
import os

import httpx

from edge.settings import load

TIMEOUT_S = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Which question to ask of which port."""
    parser.add_argument("--config", metavar="FILE", help="the node's settings file")
    parser.add_argument("--port", default=None, help="the node's public port")
    parser.add_argument("--mount", default=None, help="the node's mount")
    parser.add_argument("--ready", action="store_true", help="ask whether it has a snapshot, too")


def run(arguments: argparse.Namespace) -> int:
    """0 for yes, 1 for no."""
    flags = {"port": arguments.port, "mount": arguments.mount}
    file = arguments.config or os.environ.get("EDGEWISE_CONFIG")
    settings = load(flags, os.environ, file)
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    question = "readyz" if arguments.ready else "healthz"
    url = f"http://{host}:{settings.port}{settings.mount}/{question}"
    try:
        answer = httpx.get(url, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        print(f"expected an answer, got {error} - at {url}")
        return 1
    print(answer.text.strip())
    return 0 if answer.is_success else 1
