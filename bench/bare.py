"""The floor for bench/http.py: a bare ASGI app behind the same server, with the same settings, that
answers every request with the same bytes and as many headers. `python -m bench.bare PORT REPLY`."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from granian import Granian
from granian.constants import HTTPModes, Interfaces

REPLY = "EDGEWISE_BENCH_REPLY"


def application() -> Callable[..., Awaitable[None]]:
    """The app, its reply made beforehand."""
    told, text = msgspec.json.decode(Path(os.environ[REPLY]).read_bytes())
    headers = [(name.encode(), value.encode()) for name, value in told]
    body = text.encode()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


if __name__ == "__main__":
    os.environ[REPLY] = sys.argv[2]
    multiprocessing.set_start_method("spawn")
    Granian(
        "bench.bare:application",
        factory=True,
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    ).serve()
