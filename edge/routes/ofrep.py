"""POST ofrep/v1/evaluate/flags[/{key}]: for servers, by OpenFeature's protocol; nothing is kept.

An evaluation assigns; whether somebody saw what it gave is not known here, so that none is logged.
"""

from __future__ import annotations

import hashlib
import time

import msgspec

from edge import answers, flags
from edge.apikeys import OFREP
from edge.errors import Refused
from edge.exchange import Reply, Scope
from edge.flags import Asked, BulkReply, Flags, NoFlag
from edge.services import Services

FLAGS = 'edgewise_flags_total{{reason="{}"}}'
RETRY_S = 5
STATUS = {flags.FLAG_NOT_FOUND: 404}  # of what else went wrong: 400
_PREFIX = "/ofrep/v1/evaluate/flags/"


def one(services: Services, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> Reply:
    """One flag. Raises Refused."""
    started_ns = time.perf_counter_ns()
    services.callers.admit(scope, headers, OFREP)
    key = scope["path"][len(services.config.mount) + len(_PREFIX) :]
    asked = flags.read(body)
    if isinstance(asked, NoFlag):
        return _failed(services, msgspec.structs.replace(asked, key=key), started_ns)
    flag = _flags(services, asked).one(key)
    if isinstance(flag, NoFlag):
        return _failed(services, flag, started_ns)
    services.metrics.count((FLAGS, flag.reason))
    return answers.json_reply(services, flag, started_ns)


def many(services: Services, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> Reply:
    """Every flag, or 304 where none differs from what the caller has; counts as one for each slot.
    Raises Refused."""
    started_ns = time.perf_counter_ns()
    serving = services.served.current
    cost = len(serving.program.slots) if serving is not None else 1
    services.callers.admit(scope, headers, OFREP, cost)
    asked = flags.read(body)
    if isinstance(asked, NoFlag):
        return _failed(services, asked, started_ns)
    found = _flags(services, asked).all()
    for flag in found:
        services.metrics.count((FLAGS, flag.reason))
    reply = answers.json_reply(services, BulkReply(found), started_ns)
    etag = b'"%b"' % hashlib.sha256(reply.body).hexdigest()[:32].encode()
    told = [*reply.headers, (b"etag", etag)]
    if etag in headers.get(b"if-none-match", b""):
        kept = [(name, value) for name, value in told if not name.startswith(b"content-")]
        return Reply(304, kept, b"")
    return Reply(200, told, reply.body)


def _flags(services: Services, asked: Asked) -> Flags:
    """Raises Refused while there is nothing to decide with."""
    serving = services.served.current
    if serving is None:
        raise Refused(503, "no-snapshot", "this edge has no snapshot yet", retry_after_s=RETRY_S)
    return Flags(serving, asked, services.clock(), services.complaints.about)


def _failed(services: Services, failure: NoFlag, started_ns: int) -> Reply:
    services.metrics.count((FLAGS, failure.errorCode))
    status = STATUS.get(failure.errorCode, 400)
    return answers.json_reply(services, failure, started_ns, status=status)
