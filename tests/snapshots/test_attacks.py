"""The attacks that The Update Framework lists (§1.5.2 of its specification), each by its name, each
through a whole sync. The attacker owns the store and the way to it, and no key, but where said."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from snapshots import signing
from snapshots.bundle import pack
from snapshots.errors import KeysRefused
from snapshots.keys import PUBLIC_FILE, read_public, retire_key, rotate_keys, write_keys
from snapshots.local import LocalCopy
from snapshots.manifest import MAX_VERSION, Manifest, channel_path, part_path
from snapshots.store import HttpStore, MemoryStore
from snapshots.sync import Syncer
from tests.snapshots.bundles import KEY, OTHER, Clock, publish_to, store_with, syncer_of
from tests.snapshots.store.origins import BaseHandler, ScriptedOrigin

HINT = channel_path("live")


def holding(directory: Path, store: MemoryStore, clock: Clock | None = None) -> Syncer:
    """A node that took version 1."""
    syncer = syncer_of(store, directory, clock=clock or Clock())
    assert syncer.once().version == 1
    return syncer


def refused(syncer: Syncer) -> tuple[str, int]:
    """Why the next attempt takes nothing, and what is served all the same."""
    status = syncer.once()
    assert status.refused is not None
    return status.refused.reason, status.version


def newest(store: MemoryStore) -> Manifest:
    return signing.verify(store.objects[HINT], {**KEY.public(), **OTHER.public()})


def test_arbitrary_software(tmp_path: Path) -> None:
    store = store_with(b"ours")
    syncer = holding(tmp_path, store)
    theirs = store_with(b"ours", b"theirs")
    theirs.objects[HINT] = signing.sign(newest(theirs), OTHER)
    store.objects = theirs.objects

    assert refused(syncer) == ("unknown-key", 1)


@pytest.mark.parametrize("path", [HINT, "part"])
def test_endless_data(path: str, tmp_path: Path) -> None:
    (tmp_path / "origin").mkdir()
    asked = store_with(b"one", b"two")
    first = store_with(b"one")
    wanted = newest(asked).part("program")
    assert wanted
    endless = HINT if path == HINT else part_path(wanted)
    sent = 0

    def answer(request: BaseHandler) -> None:
        nonlocal sent
        request.send_response(200)
        request.end_headers()
        request.close_connection = True
        if not request.path.endswith(endless):
            request.wfile.write(asked.objects[request.path.lstrip("/")])
            return
        while True:  # until the node has had enough
            sent += request.wfile.write(bytes(2**16))

    syncer = holding(tmp_path / "cache", first)
    origin = ScriptedOrigin(tmp_path / "origin", answer)
    syncer.store = HttpStore(origin.start())
    try:
        assert refused(syncer) == ("too-large", 1)
    finally:
        origin.stop()
    assert sent < 32 * 2**20  # what buffers between the two may hold, and no more


def test_extraneous_dependencies(tmp_path: Path) -> None:
    store = store_with(b"one")
    syncer = holding(tmp_path, store)
    extra = pack("program", 1, b"an extra program")
    store.objects[part_path(extra.ref)] = extra.stored  # in the store, named by nobody
    publish_to(store, b"two")
    manifest = newest(store)
    forged = msgspec.structs.replace(manifest, parts=(*manifest.parts, extra.ref))
    store.objects[HINT] = signing.sign(forged, OTHER)

    assert refused(syncer) == ("unknown-key", 1)
    publish_to(store, b"three")
    assert syncer.once().version == 3
    assert not syncer.local.has(extra.ref)


def test_fast_forward(tmp_path: Path) -> None:
    """A thief of one key, found out, has signed the highest number that there is."""
    store = store_with(b"one")
    syncer = holding(tmp_path, store)
    syncer.local.keys = {**KEY.public(), **OTHER.public()}
    ours = dict(store.objects)
    store.objects[HINT] = signing.sign(
        msgspec.structs.replace(newest(store), version=MAX_VERSION), OTHER
    )
    assert syncer.once().version == MAX_VERSION

    syncer.local.keys = KEY.public()  # the stolen key is retired
    store.objects = ours
    publish_to(store, b"two")

    status = syncer.once()
    assert (status.version, status.refused, status.highest_version) == (2, None, 2)
    again = syncer_of(store, tmp_path)
    assert (again.start().version, again.once().version) == (2, 2)


def test_indefinite_freeze(tmp_path: Path) -> None:
    """The store keeps what is new to itself: the date tells."""
    store, clock = store_with(b"one"), Clock()
    syncer = holding(tmp_path / "old", store, clock)
    clock.now_s = newest(store).not_after_s + 1.0

    assert syncer.once().stale
    clock.now_s += 3_600.0  # beyond any skew of clocks
    fresh = syncer_of(store, tmp_path / "fresh", clock=clock)
    assert refused(fresh) == ("expired", 0)
    assert syncer.once().version == 1  # what was trusted in time serves on, marked


def test_mix_and_match(tmp_path: Path) -> None:
    """Parts of one version under the names of another's."""
    store = store_with(b"one")
    syncer = holding(tmp_path, store)
    before = newest(store).part("program")
    publish_to(store, b"two")
    after = newest(store).part("program")
    assert before and after
    store.objects[part_path(after)] = store.objects[part_path(before)]

    assert refused(syncer) == ("hash-mismatch", 1)


@pytest.mark.parametrize("restarted", [False, True])
def test_rollback(restarted: bool, tmp_path: Path) -> None:
    store = store_with(b"one")
    old = store.objects[HINT]
    syncer = holding(tmp_path, store)
    publish_to(store, b"two")
    assert syncer.once().version == 2
    store.objects[HINT] = old
    if restarted:
        syncer = syncer_of(store, tmp_path)
        syncer.start()

    assert refused(syncer) == ("rollback", 2)
    assert LocalCopy(tmp_path, KEY.public()).highest("live") == 2


def test_slow_retrieval(tmp_path: Path) -> None:
    (tmp_path / "origin").mkdir()
    store = store_with(b"one")
    syncer = holding(tmp_path / "cache", store)

    def trickle(request: BaseHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "700")
        request.end_headers()
        for _ in range(700):
            request.wfile.write(b"x")
            request.wfile.flush()
            if stopped.wait(0.05):
                return

    stopped = threading.Event()
    origin = ScriptedOrigin(tmp_path / "origin", trickle)
    syncer.store = HttpStore(origin.start(), patience_s=0.3)
    try:
        assert refused(syncer) == ("store-unavailable", 1)
    finally:
        stopped.set()
        origin.stop()


def stolen_keys(directory: Path) -> tuple[str, str]:
    """A publisher's keys, rotated because the first was stolen: its name, and the new one's."""
    write_keys(directory, KEY)
    return KEY.kid, rotate_keys(directory).kid


def test_key_compromise(tmp_path: Path) -> None:
    """What the stolen key signs counts until it is retired, and never after."""
    keys, store = tmp_path / "keys", store_with(b"one")
    syncer = holding(tmp_path / "cache", store)
    old, new = stolen_keys(keys)
    assert list(read_public(keys / PUBLIC_FILE)) == [new, old]

    retire_key(keys, old)
    syncer.local.keys = read_public(keys / PUBLIC_FILE)
    publish_to(store, b"the thief's")

    assert refused(syncer) == ("unknown-key", 1)
    fresh = syncer_of(store, tmp_path / "fresh")
    fresh.local.keys = read_public(keys / PUBLIC_FILE)
    assert refused(fresh) == ("unknown-key", 0)


@pytest.mark.parametrize(
    ("retire", "message"),
    [
        (lambda old, new: new, "expected a key that no longer signs"),
        (lambda old, new: "nobody", "got nobody"),
    ],
)
def test_the_key_that_signs_and_one_that_is_not_there_are_not_retired(
    retire: Callable[[str, str], str], message: str, tmp_path: Path
) -> None:
    old, new = stolen_keys(tmp_path)

    with pytest.raises(KeysRefused, match=message):
        retire_key(tmp_path, retire(old, new))

    assert list(read_public(tmp_path / PUBLIC_FILE)) == [new, old]
