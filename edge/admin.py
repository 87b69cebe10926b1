"""The private listener: /status for people at 3 a.m., /metrics for Prometheus, /explain for why.

It lives in the node's process and only reads: the syncer's status, the workers' reports, the
counters on disk. Nothing here is meant for the public; the address it binds is its protection.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from decisions import consent
from decisions.conditions import Condition
from decisions.engine import MAX_STEPS
from decisions.explain import because, sentences, why_not
from edge import erasures, exchange, metrics
from edge.apikeys import ApiKey, ApiKeys
from edge.config import Config
from edge.errors import Refused
from edge.refresh import control_of
from edge.worker import DRAINING, LOG_FAILING, Report
from snapshots.erased import Times
from snapshots.pauses import Pauses
from snapshots.snapshot import Snapshot
from snapshots.sync import SyncStatus
from snapshots.upload import UploadStatus

MAX_BODY_BYTES = 64 * 2**10
SPOOL_FULL = 'edgewise_log_dropped_total{reason="spool-full"}'
_LOG = "edgewise_log_"


class ErasedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """waiting: erasures asked for here that no snapshot lists yet, and how long the oldest has
    waited. listed: those of the snapshot."""

    waiting: int
    oldest_s: float
    listed: int


class ApiKeyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the site's servers, without its hash. expires_s: since the epoch; 0 for never."""

    kid: str
    name: str
    scopes: list[str]
    expires_s: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What /status says. summary: the state in one sentence; troubles: each thing that is not as
    it should be, in one sentence; empty is good."""

    summary: str
    troubles: list[str]
    node: str
    now_s: float
    is_ready: bool
    is_draining: bool
    snapshot: SyncStatus
    snapshot_age_s: float
    workers: list[Report]
    events: dict[str, int]
    erased: ErasedStatus
    uploads: UploadStatus
    api_keys: list[ApiKeyStatus]


class Question(msgspec.Struct, frozen=True):
    """The body of POST /explain. facts: nested, as in tests.yaml; unit: what experiments split by;
    now: seconds since the epoch, 0 for this moment. why_not: a rule of the slot."""

    slot: str
    facts: dict[str, Any] = {}
    grants: list[str] = []
    unit: str = ""
    now: float = 0.0
    why_not: str = ""


class Explained(msgspec.Struct, frozen=True, omit_defaults=True):
    """The decision, each step that led to it, and each step as a sentence.

    because: the sentence of what decided. why_not: what kept the rule that was asked about from the
    slot, and conditions: each of its conditions with what it found.
    """

    slot: str
    fragment: str
    variant: str
    reason: str
    steps: list[Any]
    sentences: list[str]
    snapshot: int
    because: str
    why_not: list[str] = []
    conditions: list[Condition] = []


class Admin:
    """Answers the three questions. sync: the syncer's status now. snapshot: what is served, for
    /explain, or None."""

    def __init__(
        self,
        config: Config,
        sync: Callable[[], SyncStatus],
        snapshot: Callable[[], Snapshot | None],
        keys_trouble: Callable[[], str] = str,
        clock: Callable[[], float] = time.time,
        waiting: Callable[[], Times] = dict,
        uploads: Callable[[], UploadStatus] = UploadStatus,
        api_keys: Callable[[], ApiKeys] = ApiKeys,
    ) -> None:
        """waiting: the node's own erasures."""
        self._config, self._sync, self._snapshot = config, sync, snapshot
        self._keys_trouble, self._clock = keys_trouble, clock
        self._waiting, self._uploads, self._api_keys = waiting, uploads, api_keys
        self.app = Starlette(
            routes=[
                Route("/status", self._status),
                Route("/metrics", self._metrics),
                Route("/explain", self._explain, methods=["POST"]),
            ]
        )

    def status(self) -> Status:
        """The state of the node."""
        sync, now_s = self._sync(), self._clock()
        workers = reports(self._config.run_dir)
        draining = (self._config.run_dir / DRAINING).exists()
        counted = self._counted()
        troubles = list(_troubles(sync, workers, self._config.workers, self._keys_trouble()))
        troubles += _unknown_pauses(sync.pauses, self._snapshot())
        uploads = self._uploads()
        troubles += _upload_troubles(uploads)
        troubles += _key_troubles(self._api_keys(), now_s)
        if counted.get(LOG_FAILING) and not any(worker.log_trouble for worker in workers):
            troubles.append("event log: not written, nor can a worker say why: look at the disk")
        ready = bool(workers) and all(worker.is_ready for worker in workers)
        return Status(
            summary=_summary(sync, now_s, ready, draining),
            troubles=troubles,
            node=self._config.node_name,
            now_s=round(now_s, 3),
            is_ready=ready,
            is_draining=draining,
            snapshot=sync,
            snapshot_age_s=round(now_s - sync.created_s, 3) if sync.version else 0.0,
            workers=workers,
            events={key: value for key, value in counted.items() if key.startswith(_LOG)},
            erased=self._erased(now_s),
            uploads=uploads,
            api_keys=[_api_key(key) for key in self._api_keys().keys],
        )

    def _erased(self, now_s: float) -> ErasedStatus:
        waiting, snapshot = self._waiting(), self._snapshot()
        listed = snapshot.erased if snapshot is not None else None
        oldest_s = round(erasures.oldest_s(waiting, now_s), 3)
        return ErasedStatus(waiting=len(waiting), oldest_s=oldest_s, listed=len(listed or ()))

    def exposition(self) -> str:
        """All counters, and the node's own gauges."""
        sync, now_s = self._sync(), self._clock()
        erased, uploads = self._erased(now_s), self._uploads()
        values = self._counted()
        values |= {
            "edgewise_snapshot_version": sync.version,
            "edgewise_snapshot_highest_version": sync.highest_version,
            "edgewise_snapshot_age_seconds": int(now_s - sync.created_s) if sync.version else 0,
            "edgewise_snapshot_stale": int(sync.stale),
            "edgewise_sync_failures": sync.failures,
            "edgewise_snapshot_from_disk": int(sync.from_disk),
            "edgewise_sync_last_attempt_seconds": int(sync.last_attempt_s),
            "edgewise_sync_last_success_seconds": int(sync.last_success_s),
            "edgewise_sync_next_poll_seconds": int(sync.next_poll_at_s),
            "edgewise_control_last_success_seconds": int(sync.control_last_success_s),
            "edgewise_control_number": sync.pauses.number,
            "edgewise_paused": len(sync.pauses.paused),
            "edgewise_erasures_waiting": erased.waiting,
            "edgewise_erasures_oldest_seconds": int(erased.oldest_s),
            "edgewise_erasures_listed": erased.listed,
            "edgewise_api_keys_ending": len(self._api_keys().ending(now_s)),
            "edgewise_upload_waiting_files": uploads.waiting,
            "edgewise_upload_waiting_bytes": uploads.waiting_bytes,
            "edgewise_upload_oldest_seconds": int(uploads.oldest_s),
            "edgewise_upload_last_success_seconds": int(uploads.last_success_s),
            "edgewise_upload_failures": uploads.failures,
            "edgewise_upload_files_total": uploads.uploaded,
            "edgewise_upload_bytes_total": uploads.uploaded_bytes,
            "edgewise_upload_beside_total": uploads.beside,
        }
        if sync.refused:
            values[f'edgewise_sync_refused{{reason="{sync.refused.reason}"}}'] = 1
        return metrics.exposition(values)

    def explain(self, question: Question) -> Explained:
        """What a slot would show for these facts, and why. Raises Refused."""
        snapshot = self._snapshot()
        if snapshot is None:
            raise Refused(503, "no-snapshot", "this node has no snapshot yet")
        try:
            grants = consent.mask(question.grants)
        except KeyError as error:
            known = ", ".join(consent.NEEDS)
            raise Refused(400, "invalid-request", f"expected of {known}, got {error}") from None
        program, unit = snapshot.program, question.unit or None
        sync = self._sync()
        control, stale = control_of(sync.pauses), sync.stale
        facts = program.facts(question.facts, grants, question.now or self._clock())
        decision = program.decide(
            question.slot, facts, unit=unit, explain=True, control=control, stale=stale
        )
        explained = Explained(
            decision.slot,
            decision.fragment,
            decision.variant,
            decision.reason,
            list(decision.steps[-MAX_STEPS:]),
            sentences(program, decision, facts)[-MAX_STEPS:],
            snapshot.version,
            because(program, decision, facts),
        )
        if not question.why_not:
            return explained
        try:
            told = why_not(
                program, question.why_not, decision, facts, unit=unit, control=control, stale=stale
            )
        except KeyError:
            what = f"expected a rule of slot {question.slot}, got {question.why_not!r}"
            raise Refused(400, "invalid-request", f"{what} - at `$.why_not`") from None
        return msgspec.structs.replace(
            explained, why_not=told.sentences, conditions=told.conditions
        )

    def _counted(self) -> dict[str, int]:
        """What the workers counted, and the rows that left the disk unread."""
        return metrics.summed(self._config.run_dir) | {SPOOL_FULL: self._uploads().dropped}

    async def _status(self, _: Request) -> Response:
        return _json(msgspec.json.format(msgspec.json.encode(self.status()), indent=2) + b"\n")

    async def _metrics(self, _: Request) -> Response:
        return Response(self.exposition(), media_type="text/plain; version=0.0.4")

    async def _explain(self, request: Request) -> Response:
        headers = exchange.headers_of(request.scope)
        try:
            body = await exchange.read_body(headers, request.receive, MAX_BODY_BYTES)
            question = msgspec.json.decode(body, type=Question)
            return _json(msgspec.json.encode(self.explain(question)))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reply = exchange.refusal(Refused(400, "invalid-request", str(error)))
        except Refused as refused:
            reply = exchange.refusal(refused)
        return Response(reply.body, reply.status, media_type="application/problem+json")


def reports(run_dir: Path) -> list[Report]:
    """What the living workers last said."""
    found: list[Report] = []
    for path in sorted(run_dir.glob("*.json")):
        with contextlib.suppress(OSError, msgspec.DecodeError):  # it may be ending just now
            report = msgspec.json.decode(path.read_bytes(), type=Report)
            if metrics.lives(report.pid):
                found.append(report)
    return found


def _summary(sync: SyncStatus, now_s: float, ready: bool, draining: bool) -> str:
    if draining:
        return "stopping: readiness fails, what is asked is still answered"
    if not sync.version:
        return f"nothing to serve: no snapshot of {sync.channel} could be opened yet"
    age = _span(now_s - sync.created_s)
    state = "serving" if ready else "opening"
    stale = ", past its date" if sync.stale else ""
    stale += _paused(sync.pauses)
    contact = f"store asked {_span(now_s - sync.last_success_s)} ago"
    if sync.from_disk:
        contact = "from the local copy, the store has not confirmed it yet"
    return f"{state} {sync.channel} version {sync.version}, made {age} ago{stale}; {contact}"


def _troubles(sync: SyncStatus, workers: list[Report], wanted: int, keys: str) -> Iterator[str]:
    if sync.refused:
        refused = sync.refused
        yield f"sync: {refused.reason}: {refused.what} ({sync.failures} in a row)"
    if sync.control_trouble:
        yield f"control: {sync.control_trouble}"
    if sync.stale:
        yield "snapshot: past its date; publish a new one or renew it"
    if len(workers) < wanted:
        yield f"workers: expected {wanted}, {len(workers)} have reported"
    if keys:
        yield f"keys: {keys}"
    for worker in workers:
        yield from _worker_troubles(sync, worker)


def _worker_troubles(sync: SyncStatus, worker: Report) -> Iterator[str]:
    for what, trouble in (
        ("snapshot", worker.trouble),
        ("keys", worker.keys_trouble),
        ("mmdb", worker.atlas_trouble),
        ("event log", worker.log_trouble and f"not written: {worker.log_trouble}"),
    ):
        if trouble:
            yield f"worker {worker.pid}: {what}: {trouble}"
    if worker.control != sync.pauses.number:
        yield f"worker {worker.pid}: obeys control {worker.control}, not {sync.pauses.number}"
    if sync.version and worker.version not in (0, sync.version):
        yield f"worker {worker.pid}: serves version {worker.version}, not {sync.version}"


def _upload_troubles(uploads: UploadStatus) -> Iterator[str]:
    if uploads.trouble:
        often = f" ({uploads.failures} in a row)" if uploads.failures else ""
        yield f"uploads: {uploads.trouble}{often}; {uploads.waiting} event files wait"


def _api_key(key: ApiKey) -> ApiKeyStatus:
    expires_s = int(key.expires.timestamp()) if key.expires else 0
    return ApiKeyStatus(kid=key.kid, name=key.name, scopes=list(key.scopes), expires_s=expires_s)


def _key_troubles(keys: ApiKeys, now_s: float) -> Iterator[str]:
    for key, left_s in keys.ending(now_s):
        when = f"ends in {_span(left_s)}" if left_s > 0 else f"ended {_span(-left_s)} ago"
        yield f"API keys: the last one of {key.name} {when}: rotate it, or revoke it"


def _unknown_pauses(pauses: Pauses, snapshot: Snapshot | None) -> Iterator[str]:
    """What is paused and not there to be paused."""
    if snapshot is None:
        return
    slots = snapshot.program.slots
    rules = {rule.id for slot in slots.values() for rule in slot.rules}
    for one in pauses.paused:
        if one.id not in (slots if one.kind == "slot" else rules):
            yield f"control: {one.kind} {one.id} is paused, and version {snapshot.version} has none"


def _paused(pauses: Pauses) -> str:
    """`, rule cart-rescue and 2 more paused`, or nothing."""
    if not pauses.paused:
        return ""
    first, *more = pauses.paused
    return f", {first.kind} {first.id}{f' and {len(more)} more' if more else ''} paused"


def _span(seconds: float) -> str:
    for size, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {word}"
    return f"{max(seconds, 0):.0f} s"


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"cache-control": "no-store"})
