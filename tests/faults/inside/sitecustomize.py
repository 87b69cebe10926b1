"""What Python runs first in a node's processes: a clock, a resolver and a disk that can be told.

The file that FAULTS names says what is wrong just now (`tests.faults.switches`). Nothing of the
node knows of this; it is found through PYTHONPATH.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

_path = pathlib.Path(os.environ["FAULTS"])
_is_node = "edge.cli" in sys.orig_argv  # workers are processes of their own
_steps = 0
_real_time, _real_getaddrinfo = time.time, socket.getaddrinfo


def _told(name: str) -> Any:
    try:
        return json.loads(_path.read_bytes()).get(name)
    except (OSError, ValueError):  # being written just now
        return None


def _time() -> float:
    return _real_time() + (_told("clock_s") or 0.0)


def _getaddrinfo(*asked: Any, **rest: Any) -> Any:
    if _told("no_names"):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return _real_getaddrinfo(*asked, **rest)


def _deadly(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, or death before it: at the step of a sync that was asked for."""

    def step(*given: Any, **rest: Any) -> Any:
        global _steps
        if fatal := _told("die_at_step"):
            _steps += 1
            if _steps == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
        return call(*given, **rest)

    return step


time.time, socket.getaddrinfo = _time, _getaddrinfo
if _is_node:
    os.fsync, os.replace, os.link = _deadly(os.fsync), _deadly(os.replace), _deadly(os.link)
