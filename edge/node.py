"""One process per node: it syncs, answers the admin listener, and starts Granian's workers.

The syncer, what follows the control object, and the listener have a thread each; the main thread is
Granian's supervisor. Workers are processes, even one: they map what was fetched here. On SIGTERM
readiness fails first, then what is under way is finished, then the event logs are closed
and uploaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO

import msgspec
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.log import logger as granian
from granian.server.embed import Server

from edge import worker
from edge.admin import Admin, reports
from edge.atlas import Atlas
from edge.config import Config
from edge.connections import room_for
from edge.erasures import Erasures
from edge.errors import CannotServe
from edge.settings import host_and_port
from edge.sinks.trail import Trail
from edge.uploads import Uploads
from snapshots.errors import KeysRefused
from snapshots.local import LocalCopy
from snapshots.manifest import Manifest
from snapshots.snapshot import PathOf, Snapshot, open_snapshot
from snapshots.store import open_store
from snapshots.sync import Syncer
from snapshots.trust import Limits
from snapshots.upload import UploadStatus

LOCK = "lock"
STOP_S = 2.0  # how long the end waits for fetches under way
BACKLOG = 2_048  # connections that wait to be taken by a worker; a burst of a page's users

_LOG = logging.getLogger("edgewise")


def serve(config: Config, say: Callable[[str], None]) -> int:
    """Runs a node until SIGTERM or SIGINT; the exit code. Raises CannotServe, SnapshotError,
    SettingError before anything is started. say: tells a person where it listens."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    config = _with_ports(config)
    check_keys(config)
    with _writable(config.cache):
        Path(config.cache).mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(Path(config.cache) / LOCK):
        with _writable(config.run_dir):
            fresh(config.run_dir)
        with _writable(config.cache):
            Trail(Path(config.cache)).begin()
        if config.mmdb:
            Atlas(Path(config.mmdb), config.run_dir)  # said now, not by workers that cannot start
        uploads = Uploads(config)
        background = Background(config, uploads=lambda: uploads.status)
        background.start()
        uploads.start()
        try:
            _supervise(config, say)
        finally:
            background.stop()
            uploads.stop()
    return 0


def check_keys(config: Config) -> None:
    """Raises CannotServe or KeysRefused for whatever is wrong with a key file: keys that everyone
    can know among them, unless this is --dev."""
    worker.cookie_keys(config)
    worker.identify_keys(config)
    worker.api_keys(config)
    worker.oauth_keys(config)
    worker.publisher_keys(config)


@contextlib.contextmanager
def _writable(place: str | Path) -> Iterator[None]:
    """Raises CannotServe where the disk does not let us do what is inside."""
    try:
        yield
    except OSError as error:
        raise CannotServe(
            f"expected a cache folder that can be written, got {error.strerror} - at {place}"
        ) from error


class locked:  # noqa: N801 - it reads as a statement
    """Holds a cache folder for one node; raises CannotServe if another one has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> None:
        with _writable(self._path):
            self._file = self._path.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            where = self._path.parent
            raise CannotServe(
                f"expected a cache folder of this node's own, another node uses it - at {where}"
            ) from None

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()


def _with_ports(config: Config) -> Config:
    """The config with free ports for 0. Raises CannotServe for a port that is taken: Granian
    shares its port between processes and would quietly share it with another node, too."""
    host, port = host_and_port(config.admin)
    public, private = free_port(config.host, config.port), free_port(host, port)
    shown = f"[{host}]" if ":" in host else host
    return msgspec.structs.replace(config, port=public, admin=f"{shown}:{private}")


def free_port(host: str, port: int) -> int:
    """The port itself, or a free one for 0. Raises CannotServe if it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotServe(
                f"expected a free port, {error.strerror} - at {host}:{port}"
            ) from None
        return int(probe.getsockname()[1])


def fresh(run_dir: Path) -> None:
    """What the processes of an earlier life told each other is gone."""
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.mkdir(parents=True, exist_ok=True)


class Forgotten(dict[int, float]):
    """When workers were replaced, kept by nobody: Granian ends the whole node when one worker dies
    twice within 5.5 s, and the healthy ones would go with it."""

    def __setitem__(self, worker: int, at_s: float) -> None:
        """Forgets it."""


class Background:
    """The threads beside the supervisor: two loops that ask the store, neither of which waits for
    the other, and the admin listener."""

    def __init__(
        self,
        config: Config,
        clock: Callable[[], float] = time.time,
        uploads: Callable[[], UploadStatus] = UploadStatus,
    ) -> None:
        self._config, self._clock = config, clock
        self._local = LocalCopy(Path(config.cache), worker.publisher_keys(config))
        self._opened: Snapshot | None = None
        self._erasures = Erasures(Path(config.cache), clock)
        self._keys_trouble = ""
        self._api_keys = worker.api_keys(config)
        self.syncer = Syncer(
            open_store(config.store),
            self._local,
            channel=config.channel,
            clock=clock,
            node=config.node_name,
            interval_s=config.poll_interval_s,
            limits=Limits(bundle_bytes=config.max_bundle_bytes),
            opens=self._open,
        )
        self.admin = Admin(
            config,
            lambda: self.syncer.status,
            self._served,
            lambda: self._keys_trouble,
            clock,
            self._erasures.waiting,
            uploads,
            self._api_keys,
        )
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (
                ("listener", self._listen),
                ("sync", lambda: self._repeat(self.sync)),
                ("control", lambda: self._repeat(self.control)),
            )
        ]

    def start(self) -> None:
        """Opens the local copy, then starts the threads: workers find it at once."""
        self.syncer.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the threads; a fetch under way is left where it is."""
        self._stopping.set()
        until_s = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(timeout=max(0.0, until_s - time.monotonic()))

    def sync(self) -> float:
        """One attempt, with the keys of the moment; how long to wait before the next."""
        self._refresh_keys()
        before = self.syncer.status
        status = self.syncer.once()
        self._settle()
        if status.refused and (
            before.refused is None or before.refused.what != status.refused.what
        ):
            _LOG.warning("sync: %s: %s", status.refused.reason, status.refused.what)
        return status.next_poll_s

    def control(self) -> float:
        """One look at the control object, with the keys of the moment; how long to wait before the
        next."""
        self._refresh_keys()
        controls = self.syncer.controls
        before = controls.trouble
        wait_s = controls.once(self._clock())
        if controls.trouble not in ("", before):
            _LOG.warning("control: %s", controls.trouble)
        return wait_s

    def _refresh_keys(self) -> None:
        self._api_keys.refresh()  # a worker says what is wrong with it
        try:
            self._local.keys = worker.publisher_keys(self._config)
            self._keys_trouble = ""
        except KeysRefused as error:
            self._keys_trouble = str(error)

    def _settle(self) -> None:
        """Erasures that a snapshot lists are not this node's own any more, once no worker serves an
        older one."""
        served = self._served()
        if served is None or not served.erased:
            return
        workers = reports(self._config.run_dir)
        if all(one.version == served.version for one in workers):
            self._erasures.settle(served.erased.get)

    def _open(self, manifest: Manifest, path_of: PathOf) -> Snapshot:
        self._opened = open_snapshot(manifest, path_of)
        return self._opened

    def _served(self) -> Snapshot | None:
        """What was opened last, if it is what is served: a bundle is opened before it is
        trusted."""
        opened = self._opened
        served = opened is not None and opened.version == self.syncer.status.version
        return opened if served else None

    def _repeat(self, ask: Callable[[], float]) -> None:
        while not self._stopping.is_set():
            try:
                wait_s = ask()
            except Exception:  # the shell of a loop: whatever it was, try again
                _LOG.exception("asking the store failed in a way that it should not")
                wait_s = self._config.poll_interval_s
            self._stopping.wait(wait_s)

    def _listen(self) -> None:
        asyncio.run(self._listener())

    async def _listener(self) -> None:
        host, port = host_and_port(self._config.admin)
        server = Server(
            self.admin.app,
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            websockets=False,
            log_enabled=False,
        )
        granian.addFilter(_not_of_embedding)
        serving = asyncio.create_task(server.serve())
        await asyncio.to_thread(self._stopping.wait)
        server.stop()  # type: ignore[no-untyped-call] # Granian's embedding has no types here
        await serving


def _not_of_embedding(record: logging.LogRecord) -> bool:
    """Granian calls embedding experimental at every start: for us to weigh, not for operators."""
    return "Embedded server" not in record.getMessage()


def _supervise(config: Config, say: Callable[[str], None]) -> None:
    """Granian, until it is told to stop."""
    os.environ[worker.SETTINGS] = msgspec.json.encode(config).decode()
    multiprocessing.set_start_method("spawn", force=True)  # a fork would copy the thread's locks
    if (taken := room_for(config.max_connections)) < config.max_connections:
        what = f"expected room for {config.max_connections} connections a worker, got {taken}"
        _LOG.warning("%s: raise the limit of open files (ulimit -n)", what)
    supervisor = Granian(
        "edge.worker:application",
        factory=True,
        address=config.host,
        port=config.port,
        interface=Interfaces.ASGI,
        workers=config.workers,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=taken,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=config.stop_s,
    )

    supervisor.respawned_wrks = Forgotten()

    def interrupt() -> None:
        supervisor.interrupt_signal = True
        supervisor.main_loop_interrupt.set()

    def stop(_: int, __: FrameType | None) -> None:
        draining = config.run_dir / worker.DRAINING
        if draining.exists() or config.drain_s <= 0:  # told twice: now
            interrupt()
            return
        draining.touch()
        threading.Timer(config.drain_s, interrupt).start()

    def started() -> None:
        signal.signal(signal.SIGTERM, stop)
        many = "s" if config.workers > 1 else ""
        say(
            f"edgewise: http://{config.host}:{config.port}{config.mount} "
            f"({config.workers} worker{many}), status at http://{config.admin}/status"
        )

    supervisor.on_startup(started)
    supervisor.serve()
