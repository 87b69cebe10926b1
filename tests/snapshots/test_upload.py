from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from snapshots.errors import StoreUnavailable
from snapshots.eventfiles import Logged, StoredEvents, path_of, read_rows
from snapshots.spool import Spool, compress
from snapshots.store import MemoryStore, Store, open_writable
from snapshots.upload import LATEST_S, RETRY_S, Uploader, first_s
from tests.snapshots.bundles import NOW_S, Clock
from tests.snapshots.test_eventfiles import line
from tests.snapshots.test_spool import MANY, lay, names

STEM = "paris-2-1795000000"
PATH = path_of(NOW_S, f"{STEM}.ndjson.zst")


class Moody(MemoryStore):
    """A store that can be away, or let nobody read."""

    def __init__(self) -> None:
        super().__init__()
        self.away: StoreUnavailable | None = None
        self.is_secret = False
        self.asked = 0

    def create(self, path: str, data: bytes) -> None:
        self.asked += 1
        if self.away:
            raise self.away
        super().create(path, data)

    def read(self, path: str, max_bytes: int) -> bytes:
        if self.is_secret:
            raise StoreUnavailable("expected an answer, 403")
        return super().read(path, max_bytes)


def uploader(folder: Path, store: Store | None, clock: Clock | None = None) -> Uploader:
    return Uploader(Spool(folder, MANY), store, clock=clock or Clock(), node="paris")


def stored(store: Store) -> list[str]:
    return [placed.row.id for placed in read_rows(StoredEvents(store), Logged)]


def test_a_finished_file_goes_to_the_hour_of_its_first_row_and_leaves_the_disk(
    tmp_path: Path,
) -> None:
    lay(tmp_path, f"{STEM}.ndjson", line("a"), line("b", received=NOW_S + 9_999))
    store = MemoryStore()
    uploads = uploader(tmp_path, store)

    uploads.once()

    assert store.list("") == [PATH]
    assert stored(store) == ["a", "b"]
    assert names(tmp_path) == []
    status = uploads.status
    assert (status.to, status.uploaded, status.trouble) == ("memory", 1, "")
    assert status.uploaded_bytes == len(store.objects[PATH])
    assert status.last_success_s == NOW_S


def test_a_large_file_says_when_its_first_row_came(tmp_path: Path) -> None:
    many = [line(hashlib.sha256(b"%d" % n).hexdigest(), received=NOW_S + n) for n in range(5_000)]
    assert first_s(compress(b"".join(many)), STEM) == NOW_S


@pytest.mark.parametrize(
    ("first", "at_s"),
    [
        (b"nonsense\n", 1_795_000_000),
        (b'{"received": -1}\n', 1_795_000_000),
        (b'{"received": 1e300}\n', 1_795_000_000),
        (b"no end of line", 1_795_000_000),
        (b"", 1_795_000_000),
    ],
)
def test_a_first_row_that_says_no_time_leaves_the_number_of_the_file(
    first: bytes, at_s: float
) -> None:
    assert first_s(compress(first), STEM) == at_s
    assert first_s(compress(first), "paris-2-" + "9" * 15) == LATEST_S - 1
    assert first_s(compress(first), "no number") == 0.0


def test_a_crash_before_the_removal_brings_the_same_bytes_to_the_same_path(tmp_path: Path) -> None:
    store = MemoryStore()
    for _ in range(2):
        lay(tmp_path, f"{STEM}.ndjson", line("a"))
        uploads = uploader(tmp_path, store)
        uploads.once()
        assert names(tmp_path) == []
        assert (uploads.status.uploaded, uploads.status.beside) == (1, 0)
    assert store.list("") == [PATH]


@pytest.mark.parametrize("is_secret", [False, True])
def test_other_bytes_at_the_path_are_another_nodes_and_both_are_kept(
    is_secret: bool, tmp_path: Path
) -> None:
    store = Moody()
    store.create(PATH, compress(line("of another node")))
    store.is_secret = is_secret
    for _ in range(2):  # the second time after a crash before the removal
        lay(tmp_path, f"{STEM}.ndjson", line("a"))
        uploads = uploader(tmp_path, store)
        uploads.once()
        assert names(tmp_path) == []
        assert uploads.status.beside == 1
    store.is_secret = False
    name = hashlib.sha256(compress(line("a"))).hexdigest()[:32]
    assert store.list("") == [PATH.replace(".ndjson", f"-{name}.ndjson"), PATH]
    assert sorted(stored(store)) == ["a", "of another node"]


def test_a_store_that_is_away_is_asked_less_and_less_and_nothing_leaves_the_disk(
    tmp_path: Path,
) -> None:
    store, clock = Moody(), Clock()
    store.away = StoreUnavailable("expected an answer, connection refused")
    uploads = uploader(tmp_path, store, clock)
    for second in range(600):
        if second % 60 == 0:
            name = f"paris-2-{1_795_000_000 + second}.ndjson"
            lay(tmp_path, name, line(f"{second}"), closed_s=clock.now_s)
        uploads.once()
        clock.now_s += 1.0
    status = uploads.status
    assert 10 < store.asked < 25
    assert (status.waiting, status.uploaded, status.failures) == (10, 0, store.asked)
    assert status.trouble == "expected an answer, connection refused"
    assert status.oldest_s == NOW_S
    assert status.waiting_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert all(name.endswith(".ndjson.zst") for name in names(tmp_path)), "small while they wait"

    store.away = None
    clock.now_s += 60.0
    uploads.once()

    assert stored(store) == [f"{second}" for second in range(0, 600, 60)]
    assert names(tmp_path) == []
    status = uploads.status
    assert (status.waiting, status.uploaded, status.failures, status.trouble) == (0, 10, 0, "")


def test_a_day_without_the_store_loses_nothing_through_a_restart_at_noon(tmp_path: Path) -> None:
    store, clock = Moody(), Clock()
    store.away = StoreUnavailable("away")
    uploads = uploader(tmp_path, store, clock)
    for minute in range(0, 24 * 60, 5):
        if minute == 12 * 60:
            uploads = uploader(tmp_path, store, clock)
        for worker in (1, 2):
            rows = [line(f"{worker}-{minute}-{n}", received=clock.now_s) for n in range(3)]
            name = f"paris-{worker}-{clock.now_s:.0f}.ndjson"
            lay(tmp_path, name, *rows, closed_s=clock.now_s + 60)
        uploads.once()
        clock.now_s += 300.0
    assert uploads.status.waiting == 2 * 288

    store.away = None
    uploads.once()

    expected = {f"{w}-{m}-{n}" for w in (1, 2) for m in range(0, 1440, 5) for n in range(3)}
    assert sorted(stored(store)) == sorted(expected)
    assert (uploads.status.dropped, names(tmp_path)) == (0, [])
    assert len({path.rpartition("/")[0] for path in store.objects}) in (24, 25)


def test_what_a_store_asks_for_is_heeded_and_a_clock_that_is_set_back_ends_the_wait(
    tmp_path: Path,
) -> None:
    store, clock = Moody(), Clock()
    store.away = StoreUnavailable("busy", retry_after_s=3_600.0)
    lay(tmp_path, f"{STEM}.ndjson", line("a"))
    uploads = uploader(tmp_path, store, clock)
    uploads.once()
    assert uploads.status.next_try_s >= NOW_S + 3_600.0
    store.away = None
    clock.now_s += 3_599.0
    uploads.once()
    assert store.asked == 1
    clock.now_s -= 86_400.0
    uploads.once()
    assert stored(store) == ["a"]


def test_the_last_pass_does_not_wait_and_ends_when_it_is_told(tmp_path: Path) -> None:
    store = Moody()
    store.away = StoreUnavailable("away")
    for number in range(3):
        lay(tmp_path, f"paris-2-{number}.ndjson", line(f"{number}"), closed_s=NOW_S + number)
    uploads = uploader(tmp_path, store)
    uploads.once()
    store.away = None
    left = [True, True, False]

    uploads.once(at_once=True, goes_on=lambda: left.pop(0))

    assert stored(store) == ["0", "1"]
    assert names(tmp_path) == ["paris-2-2.ndjson.zst"]


def test_a_file_that_the_disk_does_not_give_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, "paris-2-1.ndjson").unlink()
    (tmp_path / "paris-2-1.ndjson").mkdir()
    lay(tmp_path, "paris-2-2.ndjson", line("b"), closed_s=4e9)
    store = MemoryStore()
    uploads = uploader(tmp_path, store)

    uploads.once()

    assert stored(store) == ["b"]
    assert "Is a directory - at" in uploads.status.trouble
    assert uploads.status.failures == 0


def test_what_the_disk_does_not_let_go_is_uploaded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system", str(path))

    lay(tmp_path, f"{STEM}.ndjson", line("a"))
    store = Moody()
    uploads = uploader(tmp_path, store)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refused)
        for _ in range(3):
            uploads.once()
        assert "Read-only file system" in uploads.status.trouble
    uploads.once()
    assert (store.asked, uploads.status.uploaded, uploads.status.trouble) == (1, 1, "")
    assert names(tmp_path) == []


def test_without_a_store_files_stay_within_their_bytes(tmp_path: Path) -> None:
    for number in range(3):
        lay(tmp_path, f"paris-2-{number}.ndjson", line("a"), closed_s=NOW_S + number)
    size = (tmp_path / "paris-2-0.ndjson").stat().st_size
    uploads = Uploader(Spool(tmp_path, 2 * size), None, clock=Clock())

    uploads.once()

    assert names(tmp_path) == ["paris-2-1.ndjson", "paris-2-2.ndjson"]
    status = uploads.status
    assert (status.to, status.waiting, status.dropped) == ("", 2, 1)


def test_a_folder_that_cannot_be_read_is_told_until_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.write_bytes(b"")
    uploads = uploader(folder, MemoryStore())
    uploads.once()
    assert "Not a directory" in uploads.status.trouble
    folder.unlink()
    uploads.once()
    assert uploads.status.trouble == ""


def test_a_full_disk_has_no_room_to_pack_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store, clock = Moody(), Clock()
    store.away = StoreUnavailable("away")
    lay(tmp_path, f"{STEM}.ndjson", line("a"))
    uploads = uploader(tmp_path, store, clock)
    monkeypatch.setattr("os.fsync", full)
    uploads.once()
    assert names(tmp_path) == [f"{STEM}.ndjson"]
    store.away = None
    clock.now_s += RETRY_S
    uploads.once()
    assert stored(store) == ["a"]


def test_a_folder_store_has_the_file_where_a_bucket_has_it(tmp_path: Path) -> None:
    lay(tmp_path / "spool", f"{STEM}.ndjson", line("a"))
    uploader(tmp_path / "spool", open_writable(str(tmp_path / "store"))).once()
    assert (tmp_path / "store" / PATH).is_file()


@pytest.mark.needs("s3")
def test_a_bucket_takes_files_create_only(tmp_path: Path, s3_url: str) -> None:
    store = open_writable(s3_url)
    for text in ("a", "a", "b"):
        lay(tmp_path, f"{STEM}.ndjson", line(text))
        uploads = uploader(tmp_path, store)
        uploads.once()
        assert uploads.status.trouble == ""
    assert sorted(stored(store)) == ["a", "b"]
    assert len(store.list("events/")) == 2
