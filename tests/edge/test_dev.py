"""`edgewise dev`: what is written is served, what is wrong is told, the last good one stays."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from decisions.ledger import Ledger
from edge.cli import main
from edge.commands import dev, keys
from edge.commands.dev import Author, files_of
from edge.refresh import Served
from snapshots.build.scaffold import new_playbook
from snapshots.bundle import Packed, pack
from snapshots.contents import RECORD
from snapshots.history import read_manifest
from snapshots.manifest import part_path
from snapshots.publish import publish_built
from tests.edge.authoring import Dev, write
from tests.edge.shop import Shop

LOYAL = 'purchases.orders["90d"] >= 3'  # as the new playbook has it


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return new_playbook(tmp_path / "site")


@pytest.fixture
def author(folder: Path, tmp_path: Path) -> tuple[Author, list[str]]:
    keys.create(tmp_path / "keys", demo=True)
    said: list[str] = []
    made = Author(folder, str(tmp_path / "store"), tmp_path / "keys", "live", said.append)
    return made, said


def test_what_changed_is_published_once(author: tuple[Author, list[str]], folder: Path) -> None:
    made, said = author
    assert made.look()
    assert said[0].endswith("segments loyal")
    assert said[1].startswith("version 1: 3 rules")
    assert not made.look()
    write(folder, "fragments/hero/welcome.html", "<h2>Hello</h2>")
    assert made.look()
    assert said[-1].startswith("version 2: 3 rules")


def test_an_error_is_told_with_a_caret_and_nothing_is_published(
    author: tuple[Author, list[str]], folder: Path
) -> None:
    made, said = author
    made.look()
    good = (folder / "rules.yaml").read_text(encoding="utf-8")
    write(folder, "rules.yaml", good.replace('"loyal" in', '"royal" in'))
    assert made.look()
    assert "^" in said[-1]
    assert said[-1].endswith("not published: the last good version is still served")
    write(folder, "rules.yaml", good + "\n")
    assert made.look()
    assert said[-1].startswith("version 2")


def test_warnings_are_told_and_do_not_stop_it(
    author: tuple[Author, list[str]], folder: Path
) -> None:
    made, said = author
    write(folder, "fragments/hero/lost.html", "<p>Lost</p>")
    made.look()
    assert "unused-fragment" in said[0]
    assert said[-1].startswith("version 1")


def test_hidden_files_and_files_that_vanish_are_no_change(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(folder)
    (folder / ".swp").mkdir()
    (folder / ".swp" / "x").write_text("x")
    assert files_of(folder) == before
    (folder / "gone").symlink_to(folder / "nowhere")
    assert files_of(folder) == before


@pytest.fixture
def terminated() -> Iterator[None]:
    """What SIGTERM does is put back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("terminated")
def test_it_looks_again_and_again_until_it_is_interrupted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def look(_: Author) -> bool:
        looks.append(1)
        if len(looks) == 3:
            signal.raise_signal(signal.SIGTERM)
        return False

    monkeypatch.setattr(Author, "look", look)
    assert main(["dev", str(folder), "--state", str(tmp_path / "dev"), "--no-serve"]) == 130
    assert len(looks) == 3


@pytest.mark.usefixtures("terminated")
def test_it_ends_with_its_node(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[list[str]] = []

    def command(*given: object) -> list[str]:
        made.append(made_command(*given))
        return [sys.executable, "-c", ""]

    made_command: Callable[..., list[str]] = dev._command
    monkeypatch.setattr(dev, "_command", command)
    flags = ["--state", str(tmp_path / "dev"), "--port", "0", "--admin-port", "0"]
    assert main(["dev", str(folder), *flags]) == 1
    assert "--dev" in made[0]


def test_segments_are_kept_as_they_were_computed(
    author: tuple[Author, list[str]], folder: Path
) -> None:
    made, said = author
    made.look()
    record = {"categories": ["shoes"], "segments": {"loyal": LOYAL}, "more": 1}
    with_record(made, pack(RECORD, 1, msgspec.json.encode(record)))
    said.clear()
    write(folder, "fragments/hero/welcome.html", "<p>Hi</p>")
    made.look()
    assert len(said) == 1
    manifest = read_manifest(made.store, "live", made.trusted)
    assert manifest is not None
    assert (manifest.version, len(manifest.parts)) == (3, 2)
    segments = (folder / "segments.yaml").read_text(encoding="utf-8")
    write(folder, "segments.yaml", segments.replace(">= 3", ">= 4"))
    made.look()
    assert "not computed as written, until `edgewise build --data`: segments loyal" in said


def with_record(author: Author, record: Packed) -> None:
    """Publishes once more what is there, and a record as `edgewise build` leaves it."""
    manifest = read_manifest(author.store, "live", author.trusted)
    assert manifest is not None
    (part,) = manifest.parts
    program = Packed(part, author.store.read(part_path(part), part.bytes))

    def build(ledger: Ledger | None) -> tuple[list[Packed], Ledger]:
        assert ledger is not None
        return [program, record], ledger

    publish_built(author.store, "live", build, author.key, now_s=time.time())


@pytest.mark.anyio
async def test_the_preview_has_every_slot_and_only_with_dev() -> None:
    shop = Shop(dev=True)
    page = await shop.browser().send("GET", "/_ew/preview")
    assert page.status_code == 200
    current = shop.served.current
    assert current is not None
    assert page.text.count("<edge-slot name=") == len(current.program.slots)
    assert (await Shop().browser().send("GET", "/_ew/preview")).status_code == 404
    empty = Shop(Served(), dev=True)
    assert (await empty.browser().send("GET", "/_ew/preview")).status_code == 503
    ready = await empty.browser().send("GET", "/_ew/readyz")
    assert "x-edgewise-version" not in ready.headers


@pytest.mark.anyio
async def test_only_with_dev_the_script_reloads_and_readiness_tells_the_version() -> None:
    for is_dev in (True, False):
        browser = Shop(dev=is_dev).browser()
        script = await browser.send("GET", "/_ew/loader.js")
        assert ("location.reload()" in script.text) == is_dev
        assert (script.headers["cache-control"] == "no-store") == is_dev
        ready = await browser.send("GET", "/_ew/readyz")
        assert ("x-edgewise-version" in ready.headers) == is_dev


def test_a_folder_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dev", str(tmp_path / "nothing"), "--state", str(tmp_path / "dev")]) == 1
    assert "expected the folder of a playbook" in capsys.readouterr().err


@pytest.fixture
def running(folder: Path, tmp_path: Path) -> Iterator[Dev]:
    flags = ["--state", str(tmp_path / "dev"), "--port", "0", "--admin-port", "0"]
    started = Dev(folder, tmp_path / "log", *flags)
    yield started
    started.stop()


def test_a_changed_fragment_is_served_and_the_page_told_to_reload(
    running: Dev, folder: Path
) -> None:
    preview = running.preview()
    mount = preview.removesuffix("/preview")

    def hero() -> str:
        try:
            return httpx.get(f"{mount}/v1/fragments/hero", timeout=2.0).text
        except httpx.HTTPError:
            return ""

    def version() -> str:
        ready = httpx.get(f"{mount}/readyz", timeout=2.0)
        return str(ready.headers.get("x-edgewise-version", ""))

    running.until(lambda: "Look around" in hero())
    assert '<edge-slot name="hero">' in httpx.get(preview).text
    assert "location.reload()" in httpx.get(f"{mount}/loader.js").text
    assert version() == "1"
    write(folder, "rules.yaml", "- {id: a, slot: hero, when: 1 +, show: hero/welcome}")
    running.until(lambda: "the last good version is still served" in running.said())
    assert ("Look around" in hero(), version()) == (True, "1")
    write(
        folder,
        "rules.yaml",
        "- {id: all, slot: hero, when: time.hour >= 0, show: hero/offer, with: {text: Fresh}}\n",
    )
    running.until(lambda: "<p>Fresh</p>" in hero())
    assert version() == "2"


def test_with_no_serve_it_publishes_to_a_store_that_a_node_follows(
    folder: Path, tmp_path: Path
) -> None:
    keys.create(tmp_path / "keys", demo=True)
    store = tmp_path / "store"
    flags = ["--no-serve", "--store", str(store), "--keys", str(tmp_path / "keys")]
    publishing = Dev(folder, tmp_path / "log", *flags, "--state", str(tmp_path / "dev"))
    try:
        publishing.until(lambda: (store / "channels" / "live.jws").exists())
        write(folder, "fragments/hero/welcome.html", "<p>New</p>")
        publishing.until(lambda: (store / "channels" / "live" / "2.jws").exists())
    finally:
        publishing.stop()
    assert publishing.process.returncode == 130
