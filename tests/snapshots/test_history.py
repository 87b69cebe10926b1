from __future__ import annotations

import pytest

from snapshots import signing
from snapshots.errors import Conflict, Malformed
from snapshots.history import Recorded, channels, ledger_path, read_ledger, read_manifest
from snapshots.store import MemoryStore
from tests.snapshots.bundles import KEY, OTHER, lay_ledger, publish_to


def test_a_store_without_a_ledger_has_revision_0() -> None:
    assert read_ledger(MemoryStore(), KEY.public()) == Recorded(0, None)
    assert read_manifest(MemoryStore(), "live", KEY.public()) is None


def test_a_signed_ledger_of_another_shape_is_an_error_and_not_a_new_beginning() -> None:
    for payload in (b"\xc1", b"\x92\x01\xc4\x01x"):
        store = MemoryStore()
        store.objects[ledger_path(1)] = signing.sign_bytes(payload, KEY, signing.LEDGER)
        with pytest.raises(Malformed, match=r"expected a ledger: .* - at ledger/1\.jws"):
            publish_to(store)


def test_a_channel_is_a_folder_with_versions_and_a_name_that_is_one() -> None:
    store = MemoryStore()
    for path in ("live/1", "staging/7", "live", "empty", "Live/1", "a/b/1"):
        store.create(f"channels/{path}.jws", b"")
    assert channels(store) == ["live", "staging"]


def two_channels() -> MemoryStore:
    """Live was made with ledger 3, staging with ledger 2."""
    store = MemoryStore()
    publish_to(store, grown=["k/shoes"])
    publish_to(store, channel="staging", grown=["k/pet"])
    publish_to(store, grown=["k/toys"])
    return store


LIVE = r"expected ledger revision 3 \(sha256 [0-9a-f]{16}\), with which version 2 of live was built"
STAGING = (
    r"expected ledger revision 2 \(sha256 [0-9a-f]{16}\), with which version 1 of staging was built"
)
PUT_BACK = r"put ledger/\d\.jws back from the newest backup of ledger/, and publish nothing before"


@pytest.mark.parametrize("channel", ["live", "staging", "new"])
@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ((1, 2, 3), f"{LIVE}, got no ledger that our keys signed - at memory ledger/3"),
        ((3,), f"{LIVE}, got revision 2 as the newest that our keys .* ledger/3.jws: {PUT_BACK}"),
        ((2, 3), f"{LIVE}, got revision 1 as the newest that our keys .* ledger/3.jws: {PUT_BACK}"),
        ((2,), f"{STAGING}, got only the later revision 3 - at memory ledger/2.jws: {PUT_BACK}"),
    ],
)
def test_a_ledger_that_is_lost_stops_every_publisher_before_anything_is_written(
    lost: tuple[int, ...], said: str, channel: str
) -> None:
    store = two_channels()
    for revision in lost:
        del store.objects[ledger_path(revision)]
    before = dict(store.objects)
    with pytest.raises(Conflict, match=said):
        publish_to(store, channel=channel)
    assert store.objects == before


def test_a_ledger_that_is_empty_or_of_another_key_is_as_good_as_lost() -> None:
    for token in (b"", signing.sign_bytes(b"", OTHER, signing.LEDGER)):
        for revision, said in ((3, "as the newest"), (2, "only the later revision 3")):
            store = two_channels()
            store.objects[ledger_path(revision)] = token
            with pytest.raises(Conflict, match=said):
                publish_to(store)


def test_another_ledger_of_the_same_number_stops_the_publisher() -> None:
    for revision in (2, 3):
        store = two_channels()
        lay_ledger(store, revision, "k/other")
        said = rf"got another of that number \(sha256 .*\) - at memory ledger/{revision}\.jws"
        with pytest.raises(Conflict, match=said):
            publish_to(store)


def test_a_later_ledger_that_forgets_one_that_is_named_stops_the_publisher() -> None:
    store = two_channels()
    lay_ledger(store, 4, "k/shoes", "k/toys", "k/pet")
    with pytest.raises(Conflict, match=rf"{LIVE}, and every later .* revision 4 that does not"):
        publish_to(store)
    store.objects[ledger_path(4)] = b""
    assert publish_to(store, grown=["k/new"]).ledger.revision == 5


def test_a_ledger_that_is_put_back_lets_the_publisher_go_on() -> None:
    store = two_channels()
    whole = dict(store.objects)
    del store.objects[ledger_path(3)]
    with pytest.raises(Conflict):
        publish_to(store)
    store.objects[ledger_path(3)] = whole[ledger_path(3)]
    recorded = read_ledger(store, KEY.public())
    assert publish_to(store, grown=["k/new"]).version == 3
    newest = read_ledger(store, KEY.public())
    assert newest.ledger and recorded.ledger and newest.ledger.extends(recorded.ledger)
