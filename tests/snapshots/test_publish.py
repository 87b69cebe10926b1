from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from decisions.ledger import Ledger
from snapshots import history, signing
from snapshots.bundle import Packed
from snapshots.errors import (
    AlreadyThere,
    Conflict,
    LedgerMoved,
    StoreUnavailable,
    TooLarge,
)
from snapshots.history import Recorded, ledger_path, read_ledger, read_manifest
from snapshots.manifest import Manifest, channel_path, part_path, version_path
from snapshots.publish import TRIES, point, publish, publish_built
from snapshots.store import MemoryStore, open_writable
from snapshots.trust import Limits
from tests.snapshots.bundles import (
    KEY,
    LEDGER,
    NOW_S,
    OTHER,
    lay_ledger,
    publish_to,
    small_parts,
    store_with,
    syncer_of,
)


def served(store: Any) -> Manifest:
    return signing.verify(store.read(channel_path("live"), 10_000), KEY.public())


def test_a_publish_leaves_parts_a_version_a_ledger_and_a_hint(tmp_path: Path) -> None:
    for store in (MemoryStore(), open_writable(str(tmp_path / "store"))):
        manifest = publish_to(store)
        assert manifest.version == 1
        assert (manifest.created_s, manifest.not_after_s) == (NOW_S, NOW_S + 14 * 86_400)
        assert store.list("") == sorted(
            ["channels/live.jws", "channels/live/1.jws", "ledger/1.jws"]
            + [part_path(part) for part in manifest.parts]
        )
        assert served(store) == manifest == read_manifest(store, "live", KEY.public())


def test_versions_count_up_and_channels_count_apart() -> None:
    store = store_with(b"one", b"two")
    assert publish_to(store, channel="staging").version == 1
    assert publish_to(store).version == 3
    assert served(store).version == 3


def test_the_ledger_is_shared_by_channels_and_grows_only_when_there_is_something_new() -> None:
    store = MemoryStore()
    publish_to(store, grown=["k/shoes"])
    publish_to(store, channel="staging", grown=["k/shoes"])
    assert read_ledger(store, KEY.public()).revision == 1
    publish_to(store, channel="staging", grown=["k/pet"])
    recorded = read_ledger(store, KEY.public())
    assert recorded.ledger
    assert (recorded.revision, recorded.ledger.names) == (2, ("k/shoes", "k/pet"))


def once(store: MemoryStore, parts: list[Packed] | None = None, **rest: Any) -> Manifest:
    settings: dict[str, Any] = {"since": Recorded(), "now_s": NOW_S} | rest
    ledger = settings.pop("ledger", LEDGER)
    channel = settings.pop("channel", "live")
    return publish(store, channel, parts or small_parts(), ledger, KEY, **settings)


def test_a_ledger_that_another_publisher_grew_meanwhile_stops_the_publish_before_anything() -> None:
    store = store_with(b"theirs")
    before = dict(store.objects)
    with pytest.raises(LedgerMoved, match=r"expected to be the first to write ledger/1\.jws"):
        once(store)
    assert store.objects == before


def test_a_ledger_claimed_in_the_last_moment_is_noticed_too() -> None:
    class Raced(MemoryStore):
        def create(self, path: str, data: bytes) -> None:
            if path.startswith("ledger/"):
                raise AlreadyThere(path, self.where)
            super().create(path, data)

    with pytest.raises(LedgerMoved):
        once(Raced())
    with pytest.raises(StoreUnavailable, match=f"expected to win in {TRIES} tries"):
        publish_to(Raced())


def test_a_ledger_that_grows_between_two_looks_is_never_left_out_of_the_next() -> None:
    for looks in (1, 2, 3):

        class Interrupted(MemoryStore):
            left = looks

            def list(self, prefix: str) -> list[str]:
                found = super().list(prefix)
                if prefix == "ledger/":
                    self.left -= 1
                    if self.left == 0:
                        publish_to(self, b"theirs", grown=["k/theirs"])
                return found

        store = Interrupted()
        publish_to(store, b"ours", grown=["k/ours"])
        recorded = read_ledger(store, KEY.public())
        assert recorded.ledger
        assert set(recorded.ledger.names) == {"k/ours", "k/theirs"}


def test_a_ledger_too_large_to_be_read_again_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "MAX_LEDGER_BYTES", 100)
    store = MemoryStore()
    with pytest.raises(TooLarge, match="expected a ledger of at most 100 bytes"):
        publish_to(store)
    assert store.objects == {}


def test_the_loser_of_the_ledger_builds_again_from_the_winners() -> None:
    store, seen = MemoryStore(), []

    def build(ledger: Ledger | None) -> tuple[list[Packed], Ledger]:
        seen.append(ledger)
        if len(seen) == 1:
            publish_to(store, b"theirs", grown=["k/theirs"])
        return small_parts(b"ours"), (ledger or LEDGER).grown(["k/ours"], {})

    manifest = publish_built(store, "live", build, KEY, now_s=NOW_S)
    assert manifest.version == 2
    assert seen[0] is None and seen[1] is not None
    recorded = read_ledger(store, KEY.public())
    assert recorded.ledger and recorded.ledger.names == ("k/theirs", "k/ours")


def test_a_ledger_that_forgets_is_refused() -> None:
    store = MemoryStore()
    publish_to(store, grown=["k/shoes"])
    since = read_ledger(store, KEY.public())
    with pytest.raises(Conflict, match="expected a ledger that extends revision 1"):
        once(store, since=since, ledger=LEDGER)


def test_two_publishers_at_once_get_two_versions_and_the_hint_is_the_higher() -> None:
    class Interrupted(MemoryStore):
        others = 1

        def create(self, path: str, data: bytes) -> None:
            if path.startswith("channels/") and self.others:
                self.others -= 1
                publish_to(self, b"theirs")
            super().create(path, data)

    store = Interrupted()
    assert once(store).version == 2
    assert served(store).version == 2
    assert {path for path in store.objects if "/live/" in path} == {
        "channels/live/1.jws",
        "channels/live/2.jws",
    }


def test_a_slower_publisher_does_not_point_back() -> None:
    class Late(MemoryStore):
        late = True

        def replace(self, path: str, data: bytes) -> None:
            if self.late and path == channel_path("live"):
                self.late = False
                publish_to(self, b"the higher one")
            super().replace(path, data)

    store = Late()
    assert publish_to(store).version == 1
    assert served(store).version == 2


def test_a_store_where_somebody_always_wins_is_given_up() -> None:
    class Crowded(MemoryStore):
        def create(self, path: str, data: bytes) -> None:
            if path.startswith("channels/"):
                raise AlreadyThere(path, self.where)
            super().create(path, data)

    with pytest.raises(StoreUnavailable, match="expected to win"):
        once(Crowded())

    class Racing(MemoryStore):
        def replace(self, path: str, data: bytes) -> None:
            super().replace(path, data)
            newest = read_manifest(self, "live", KEY.public())
            assert newest
            version = newest.version + 1
            draft = msgspec.structs.replace(newest, version=version)
            self.create(version_path("live", version), signing.sign(draft, KEY))

    with pytest.raises(StoreUnavailable, match="expected to win"):
        once(Racing())


class Crash(Exception):
    pass


class Crashing(MemoryStore):
    """Stops at a write: before it, or after it when only the reply is lost."""

    def __init__(self, objects: dict[str, bytes], writes: int, *, after: bool) -> None:
        super().__init__()
        self.objects, self.left, self.after = dict(objects), writes, after

    def create(self, path: str, data: bytes) -> None:
        with self._write():
            super().create(path, data)

    def replace(self, path: str, data: bytes) -> None:
        with self._write():
            super().replace(path, data)

    @contextlib.contextmanager
    def _write(self) -> Iterator[None]:
        self.left -= 1
        if self.left < 0 and not self.after:
            raise Crash
        try:
            yield
        finally:
            if self.left < 0:
                raise Crash


WRITES = 1 + 6 + 1 + 1  # a ledger, six parts, a version, the hint


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("writes", range(WRITES))
def test_a_crash_at_any_step_leaves_the_old_bundle_served_and_the_next_try_goes_through(
    writes: int, after: bool, tmp_path: Path
) -> None:
    store = Crashing(store_with(b"old").objects, writes, after=after)
    with pytest.raises(Crash):
        publish_to(store, b"new", grown=["k/new"])
    syncer = syncer_of(store, tmp_path)
    status = syncer.once()
    all_was_written = after and writes == WRITES - 1
    assert (status.refused, status.version) == (None, 2 if all_was_written else 1)
    store.left = 1_000
    publish_to(store, b"newer", grown=["k/new"])
    assert syncer.once().version == served(store).version > 1


def test_what_was_claimed_before_a_crash_is_served_after_the_next_point() -> None:
    store = store_with(b"old")
    old = store.objects[channel_path("live")]
    publish_to(store, b"new")
    store.objects[channel_path("live")] = old
    point(store, "live", KEY.public())
    assert served(store).version == 2


def test_a_part_that_lies_broken_at_its_address_is_mended() -> None:
    store = store_with(b"one")
    manifest = read_manifest(store, "live", KEY.public())
    assert manifest
    for part in manifest.parts:
        good = store.objects[part_path(part)]
        for broken in (good[:-1] + bytes([good[-1] ^ 1]), good + b"x", b""):
            store.objects[part_path(part)] = broken
            publish_to(store, b"one")
            assert store.objects[part_path(part)] == good


def test_files_of_somebody_else_neither_stop_a_publisher_nor_carry_it_away() -> None:
    store = store_with(b"one")
    strange = {
        "channels/live/2.jws": b"garbage",
        "channels/live/9007199254740991.jws": store.objects["channels/live/1.jws"],
        "channels/live/3.jws": signing.sign(served(store), OTHER),
        "channels/live/notes.txt": b"",
        "ledger/2.jws": b"garbage",
        "ledger/7.jws": store.objects["ledger/1.jws"],
        "ledger/9.jws": signing.sign_bytes(b"", OTHER, signing.LEDGER),
    }
    store.objects |= strange
    assert publish_to(store, b"two", grown=["k/new"]).version == 4
    assert served(store).version == 4
    recorded = read_ledger(store, KEY.public())
    assert recorded.ledger
    assert (recorded.revision, recorded.ledger.names) == (3, ("k/new",))


def test_a_version_that_goes_while_it_is_looked_at_is_passed_over() -> None:
    class Fleeting(MemoryStore):
        def list(self, prefix: str) -> list[str]:
            return [*super().list(prefix), f"{prefix}8.jws"] if "live" in prefix else []

    assert publish_to(Fleeting()).version == 1


def test_a_rotated_publisher_goes_on_where_the_old_key_was() -> None:
    store = store_with(b"one", b"two")
    manifest = publish_to(store, b"three", key=OTHER, keys=KEY.public())
    assert manifest.version == 3
    assert signing.signer(store.objects[channel_path("live")]) == OTHER.kid
    assert read_ledger(store, KEY.public()).revision == 1


def test_a_new_key_signs_the_ledger_anew_so_that_the_old_one_may_be_retired() -> None:
    store = MemoryStore()
    publish_to(store, b"one", grown=["k/shoes"])
    publish_to(store, b"two", grown=["k/shoes"], key=OTHER, keys=KEY.public())
    recorded = read_ledger(store, OTHER.public())
    assert recorded.ledger
    assert (recorded.revision, recorded.signer) == (2, OTHER.kid)
    assert publish_to(store, b"three", key=OTHER).version == 3
    recorded = read_ledger(store, OTHER.public())
    assert recorded.ledger
    assert (recorded.revision, recorded.ledger.names) == (2, ("k/shoes",))


def test_a_manifest_names_the_ledger_that_its_program_was_compiled_with() -> None:
    store = MemoryStore()
    first = publish_to(store, grown=["k/shoes"])
    again = publish_to(store, grown=["k/shoes"])
    later = publish_to(store, channel="staging", grown=["k/pet"])
    assert first.ledger == again.ledger
    assert [manifest.ledger.revision for manifest in (first, later)] == [1, 2]
    assert later.ledger == read_ledger(store, KEY.public()).ref
    _, raw = msgspec.msgpack.decode(
        signing.verify_bytes(store.objects[ledger_path(2)], KEY.public(), signing.LEDGER)
    )
    assert later.ledger.sha256 == hashlib.sha256(raw).hexdigest()


def test_the_newest_version_names_the_latest_ledger_however_slow_its_publisher_is() -> None:
    class Slow(MemoryStore):
        waits = True

        def create(self, path: str, data: bytes) -> None:
            if path.startswith("parts/") and self.waits:
                self.waits = False
                publish_to(self, b"theirs", grown=["k/ours", "k/theirs"])
            super().create(path, data)

    store = Slow()
    manifest = publish_to(store, b"ours", grown=["k/ours"])
    assert manifest == served(store)
    assert (manifest.version, manifest.ledger.revision) == (2, 2)
    with pytest.raises(LedgerMoved, match=r"ledger/2\.jws"):
        once(Slow())


def test_a_version_claimed_between_two_looks_is_never_overtaken_by_an_older_ledger() -> None:
    for looks in range(1, 9):

        class Interrupted(MemoryStore):
            left = looks

            def list(self, prefix: str) -> list[str]:
                found = super().list(prefix)
                if prefix.startswith("channels/"):
                    self.left -= 1
                    if self.left == 0:
                        publish_to(self, b"theirs", grown=["k/theirs"])
                return found

        store = Interrupted()
        publish_to(store, b"ours", grown=["k/ours"])
        assert served(store).ledger == read_ledger(store, KEY.public()).ref


def test_a_ledger_exchanged_while_the_parts_were_made_means_to_build_again() -> None:
    store = MemoryStore()
    lay_ledger(store, 1, "k/shoes")
    since = read_ledger(store, KEY.public())
    lay_ledger(store, 1, "k/pet")
    with pytest.raises(LedgerMoved):
        once(store, since=since, ledger=since.ledger)


def test_what_edges_would_refuse_is_not_published() -> None:
    store = MemoryStore()
    with pytest.raises(TooLarge, match="expected at most 2 parts, got 6"):
        once(store, limits=Limits(parts=2))
    with pytest.raises(Conflict, match="expected a channel of lower case"):
        once(store, channel="Live")
    assert store.objects == {}
