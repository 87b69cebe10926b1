"""One serving process: it follows the local copy, keeps its log, and says how it is.

It fetches nothing and trusts nobody but the node's own disk. What the node must know of it stands
in `<run>/<pid>.json`; what the node tells it is a file, too: `<run>/draining`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeAlias

import msgspec

from edge.apikeys import API_KEY_FILE, ApiKeys
from edge.app import Edge, create_services
from edge.config import Config
from edge.connections import SHORT
from edge.errors import CannotServe
from edge.keyring import DEMO_HELP, DEMO_REFUSED, Kept, KeyFile, KeyRing, Watched, own
from edge.metrics import SUFFIX, Metrics
from edge.oauth import OAUTH_FILE, TokenKeys
from edge.refresh import Served, opener
from edge.services import Services
from edge.sinks.logged import LoggedSink
from edge.sinks.sink import Sink
from edge.sinks.trail import Trail
from snapshots import keys as publisher
from snapshots.errors import KeysRefused
from snapshots.eventlog import EventLog
from snapshots.local import LocalCopy

SETTINGS = "EDGEWISE_NODE_SETTINGS"  # how the node hands its settings to the workers it starts
DRAINING = "draining"
COOKIE_FILE, IDENTIFY_FILE = "cookie.jwks", "identify.jwks"
RESPAWN_S = 1.0  # at most one new process a second for a worker that cannot start
KEYS_S = 2.0  # how often key files are looked at

VERSION = "edgewise_snapshot_version"
READY = "edgewise_workers_ready"
LOG_FAILING = "edgewise_log_failing"  # workers whose rows are not being kept
SWAPS = "edgewise_snapshot_swaps_total"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself. version: 0 without a snapshot. Times in seconds since the
    epoch."""

    pid: int
    started_s: float
    version: int = 0
    since_s: float = 0.0
    is_ready: bool = False
    trouble: str = ""
    keys_trouble: str = ""
    log_trouble: str = ""
    atlas_trouble: str = ""
    control: int = 0


class Source(Generic[Kept]):
    """What a file says that is looked at again, or a setting that is not."""

    def __init__(self, file: Watched[Kept] | None, value: Kept) -> None:
        """file: None for what a setting gave. value: of the moment."""
        self._file, self._value = file, value
        self.trouble = ""

    def __call__(self) -> Kept:
        return self._file.value if self._file else self._value

    def refresh(self) -> None:
        """Takes what changed; an unusable file is told and the last good reading stays."""
        if self._file is None:
            return
        try:
            if self._file.refresh():
                self.trouble = ""
        except CannotServe as error:
            self.trouble = str(error)


KeySource: TypeAlias = Source[KeyRing]


def _ring(path: Path, text: str, *, demo: bool) -> KeySource:
    """text: the JWKS itself, instead of the file. demo: whether the demo's keys will do. Raises
    CannotServe."""
    if text:
        ring = KeyRing.parse(text, path.name)
        return Source(None, ring if demo else own(ring, path.name))
    file = KeyFile(path, demo=demo)
    return Source(file, file.ring)


def cookie_keys(config: Config) -> KeySource:
    """The keys of cookies. Raises CannotServe."""
    return _ring(Path(config.keys) / COOKIE_FILE, config.cookie_jwks, demo=config.dev)


def identify_keys(config: Config) -> KeySource | None:
    """The keys of sign-ins; None where nobody can sign in. Raises CannotServe."""
    path = Path(config.keys) / IDENTIFY_FILE
    if not config.identify_jwks and not path.exists():
        return None
    return _ring(path, config.identify_jwks, demo=config.dev)


def api_keys(config: Config) -> Source[ApiKeys]:
    """The keys of the site's servers, none until there is a file. Raises CannotServe."""
    file = Watched(Path(config.keys) / API_KEY_FILE, ApiKeys.parse, absent=ApiKeys())
    return Source(file, file.value)


def publisher_keys(config: Config) -> publisher.PublicKeys:
    """Whose bundles count. Raises KeysRefused."""
    if config.publisher_jwks:
        place = "publisher_jwks"
        keys = publisher.parse_public(config.publisher_jwks.encode(), place)
    else:
        place = str(Path(config.keys) / publisher.PUBLIC_FILE)
        keys = publisher.read_public(Path(place))
    if not config.dev and any(publisher.is_demo(kid) for kid in keys):
        raise KeysRefused(f"{DEMO_REFUSED} - at {place}: {DEMO_HELP}")
    return keys


def oauth_keys(config: Config) -> Source[TokenKeys] | None:
    """The keys of the authorization server; None where none is trusted. Raises CannotServe."""
    if not config.oauth_issuer:
        return None
    if config.oauth_jwks:
        return Source(None, TokenKeys.parse(config.oauth_jwks, "oauth_jwks"))
    file = Watched(Path(config.keys) / OAUTH_FILE, TokenKeys.parse)
    return Source(file, file.value)


class Worker:
    """The parts of a worker that run beside its requests."""

    def __init__(self, config: Config, services: Services, keys: Sequence[Source[Any]]) -> None:
        self._config, self._services, self._keys = config, services, keys
        self._local = LocalCopy(Path(config.cache), publisher_keys(config))
        self._opened = opener(self._local)
        self._parent = os.getppid()
        self._started_s = services.clock()
        self._said: Report | None = None
        self._keys_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent here."""
        return self._services.served.is_ready

    async def start(self) -> None:
        """Opens what is there already, then follows."""
        self._services.sink.start()
        await self.look()
        self._tasks = [asyncio.create_task(each) for each in (self._follow(), self._count())]

    async def stop(self) -> None:
        """Ends following, and writes what waits for the log."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._services.sink.close()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._config.follow_interval_s)
            try:
                await self.look()
            except Exception as error:  # the shell of the refresh loop: it must outlive any fault
                self._services.complaints.about("follow", error)
            if os.getppid() != self._parent:  # the node died: without it nothing would be fetched
                os.kill(os.getpid(), signal.SIGTERM)

    async def _count(self) -> None:
        """By itself: under load a look at a new snapshot takes many turns."""
        while True:
            await asyncio.sleep(self._config.follow_interval_s)
            if self._services.connections.look():
                self._services.metrics.count(SHORT)

    async def look(self) -> None:
        """One look at the pointer, the keys and the node's word; tells what changed."""
        served, clock = self._services.served, self._services.clock
        if (now := clock()) - self._keys_at >= KEYS_S or now < self._keys_at:
            self._keys_at = now
            self._refresh_keys()
            await self._refresh_atlas()
        served.forget(self._services.erasures.waiting())
        if await served.look(self._local, self._opened, clock):
            self._services.metrics.count(SWAPS)
        served.is_draining = (self._config.run_dir / DRAINING).exists()
        self._say(served)

    def _refresh_keys(self) -> None:
        for source in self._keys:
            source.refresh()
        with contextlib.suppress(KeysRefused):  # the node says so; the last good ones stay
            self._local.keys = publisher_keys(self._config)

    async def _refresh_atlas(self) -> None:
        atlas = self._services.proxies.atlas
        if atlas is not None and atlas.is_newer:
            await asyncio.to_thread(atlas.refresh)  # it copies a file of maybe 100 MB

    def _say(self, served: Served) -> None:
        atlas = self._services.proxies.atlas
        # A counter has its room: a disk too full for the report below does not keep it from saying.
        self._services.metrics.set(LOG_FAILING, int(bool(self._services.sink.trouble())))
        report = Report(
            pid=os.getpid(),
            started_s=self._started_s,
            version=served.current.version if served.current else 0,
            since_s=served.since_s,
            is_ready=served.is_ready,
            trouble=served.trouble,
            keys_trouble="; ".join(source.trouble for source in self._keys if source.trouble),
            log_trouble=self._services.sink.trouble(),
            atlas_trouble=atlas.trouble if atlas else "",
            control=served.control.number,
        )
        if report == self._said:
            return
        self._services.metrics.set(READY, int(report.is_ready))
        path = self._config.run_dir / f"{report.pid}.json"
        unfinished = path.with_suffix(".new")
        with contextlib.suppress(OSError):  # a full disk stops what is told, never serving
            unfinished.write_bytes(msgspec.json.encode(report))
            unfinished.replace(path)
            self._said = report


def create_worker(
    config: Config, sink: Sink | None = None, clock: Callable[[], float] = time.time
) -> tuple[Edge, Worker]:
    """The application of a worker, and what runs beside it. Raises CannotServe, KeysRefused."""
    metrics = Metrics(config.run_dir / f"{os.getpid()}{SUFFIX}")
    cookies, identify = cookie_keys(config), identify_keys(config)
    servers, oauth = api_keys(config), oauth_keys(config)
    services = create_services(
        config,
        cookies,
        identify=identify,
        api_keys=servers,
        oauth=oauth,
        sink=sink or LoggedSink(_log(config, clock), metrics, config.log_queue),
        metrics=metrics,
        clock=clock,
        trail=Trail(Path(config.cache)),
    )
    sources: list[Source[Any] | None] = [cookies, servers, identify, oauth]
    worker = Worker(config, services, [source for source in sources if source])
    return Edge(services, worker.start, worker.stop, body_s=config.body_s), worker


def _log(config: Config, clock: Callable[[], float]) -> EventLog:
    return EventLog(
        config.event_dir,
        config.node_name,
        os.getpid(),
        clock=clock,
        max_bytes=config.log_file_bytes,
        max_age_s=config.log_file_s,
    )


def application() -> Edge:
    """What Granian calls in each worker process. One that cannot start takes its time to say so:
    it is replaced at once, again and again."""
    config = msgspec.json.decode(os.environ[SETTINGS], type=Config)
    try:
        return create_worker(config)[0]
    except Exception:
        time.sleep(RESPAWN_S)
        raise
