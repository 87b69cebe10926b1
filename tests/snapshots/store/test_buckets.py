"""A bucket of a real S3 server, from a publisher's first write to what an edge serves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from snapshots.errors import StoreUnavailable
from snapshots.store import open_store, open_writable
from tests.snapshots.bundles import publish_to, syncer_of
from tests.snapshots.store.buckets import settings
from tests.snapshots.store.origins import free_ports


@pytest.mark.needs("s3")
def test_what_is_published_to_a_bucket_is_what_an_edge_serves(s3_url: str, tmp_path: Path) -> None:
    publish_to(open_writable(s3_url))
    syncer = syncer_of(open_store(s3_url), tmp_path / "cache")
    assert syncer.once().version == 1
    publish_to(open_writable(s3_url))
    status = syncer.once()
    assert (status.version, status.refused, status.source) == (2, None, s3_url)


@pytest.mark.needs("s3")
def test_of_publishers_at_once_each_gets_a_version_of_its_own(s3_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: publish_to(open_writable(s3_url)).version, range(4)))
    assert sorted(made) == [1, 2, 3, 4]


@pytest.mark.needs("s3")
def test_a_wrong_secret_is_one_clear_line_without_it(
    s3_url: str, s3_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings(s3_port, secret="not-the-secret").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreUnavailable, match="403 Forbidden") as refused:
        open_store(s3_url).read("channels/live.jws", 100)
    assert "\n" not in str(refused.value)
    assert "xml" not in str(refused.value)
    assert "not-the-secret" not in str(refused.value)


def test_a_bucket_whose_server_is_down_is_a_failed_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings(free_ports(1)[0]).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreUnavailable, match=r"expected an answer, .* - at s3://none"):
        open_store("s3://none").read("channels/live.jws", 100)
