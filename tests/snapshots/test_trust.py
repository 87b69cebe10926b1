from __future__ import annotations

from typing import Any

import msgspec
import pytest

from snapshots.errors import Conflict, Expired, Rollback, SnapshotError, TooLarge, WrongChannel
from snapshots.manifest import Manifest, PatchRef
from snapshots.trust import Limits, accept, check_sizes
from tests.snapshots.bundles import NAMED
from tests.snapshots.test_manifest import PART

OFFERED = Manifest(
    channel="live", version=7, created_s=100, not_after_s=1_000, ledger=NAMED, parts=(PART,)
)
LIMITS = Limits(clock_skew_s=10.0)


def other(**changes: Any) -> Manifest:
    return msgspec.structs.replace(OFFERED, **changes)


def decide(offered: Manifest = OFFERED, trusted: Manifest | None = None, **rest: Any) -> Any:
    settings: dict[str, Any] = {"channel": "live", "now_s": 500.0, "limits": LIMITS} | rest
    return accept(offered, trusted, **settings)


def test_the_first_and_every_newer_version_is_accepted() -> None:
    assert decide() == OFFERED
    assert decide(trusted=other(version=6)) == OFFERED
    assert decide(highest=7) == OFFERED


def test_what_is_trusted_already_is_nothing_new_even_past_its_date() -> None:
    assert decide(trusted=OFFERED) is None
    assert decide(trusted=OFFERED, now_s=9_999.0) is None


def test_a_good_manifest_of_another_channel_is_refused() -> None:
    with pytest.raises(WrongChannel, match="expected channel staging, got live"):
        decide(channel="staging")


@pytest.mark.parametrize("rest", [{"trusted": other(version=8)}, {"highest": 8}])
def test_an_older_version_is_refused_even_with_a_good_signature(rest: dict[str, Any]) -> None:
    with pytest.raises(Rollback, match="expected version >= 8, got 7"):
        decide(**rest)


def test_a_newer_version_with_an_older_ledger_is_refused() -> None:
    grown = msgspec.structs.replace(NAMED, revision=NAMED.revision + 1)
    assert decide(other(ledger=grown), trusted=other(version=6)) == other(ledger=grown)
    with pytest.raises(Rollback, match=f"expected ledger >= {grown.revision}"):
        decide(trusted=other(version=6, ledger=grown))


def test_the_trusted_version_with_other_content_is_refused() -> None:
    with pytest.raises(Conflict, match="expected version 7 as trusted"):
        decide(trusted=other(created_s=101))


def test_an_offer_past_its_date_is_refused_but_for_the_skew_of_clocks() -> None:
    assert decide(now_s=1_009.0) == OFFERED
    with pytest.raises(Expired, match="one that ended 10 s ago"):
        decide(now_s=1_010.0)


def part(name: str, **changes: Any) -> Any:
    return msgspec.structs.replace(PART, name=name, **changes)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(parts=1), "expected at most 1 parts, got 2"),
        (Limits(part_bytes=9), "expected at most 9 bytes, got 10 - at one"),
        (Limits(expansion=3, free_bytes=0), "expected at most 3 bytes out of one, got 40 out of"),
        (Limits(bundle_bytes=79), "expected a bundle of at most 79 bytes, got 80"),
    ],
)
def test_more_than_a_limit_allows_is_refused_by_number_size_and_expansion(
    limits: Limits, said: str
) -> None:
    parts = (part("one", bytes=10, raw_bytes=40), part("two", bytes=10, raw_bytes=40))
    check_sizes(parts, Limits())
    with pytest.raises(TooLarge, match=said):
        decide(other(parts=parts), limits=limits)


def test_patches_count_as_parts_do_and_make_no_more_than_a_bundle_may_be() -> None:
    step = PatchRef(part=part("patch/one"), base="a" * 64, result="b" * 64, result_bytes=80)
    offered = other(parts=(part("one"),), patches=(step,))
    assert decide(offered, limits=Limits()) == offered
    with pytest.raises(TooLarge, match="expected at most 1 parts, got 2"):
        decide(offered, limits=Limits(parts=1))
    with pytest.raises(TooLarge, match="expected at most 79 bytes, got 80 out of patch/one"):
        decide(offered, limits=Limits(bundle_bytes=79))


def test_small_parts_may_expand_as_they_like() -> None:
    offered = other(parts=(part("one", bytes=1, raw_bytes=2**20),))
    assert decide(offered, limits=Limits()) == offered


def test_every_refusal_has_a_reason_of_its_own() -> None:
    def below(kind: type[SnapshotError]) -> list[type[SnapshotError]]:
        return [kind, *(found for sub in kind.__subclasses__() for found in below(sub))]

    kinds = below(SnapshotError)
    assert len({kind.reason for kind in kinds}) == len(kinds)
