"""The faults, one function each: a scene in; what /status said and how long mending took, out.

A fault that ends has brought every worker to the version that should be served, and /status to no
trouble. `fault.judged` then looks at every reply that was given meanwhile.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from snapshots.local import SERVING
from snapshots.manifest import channel_path
from snapshots.pauses import control_path
from tests.edge.nodes import PERSON, kill, wait_until
from tests.faults import origin
from tests.faults.fault import Change, Fault, Run, Told
from tests.faults.origin import FaultyOrigin
from tests.faults.scene import CONTROL, Scene, status
from tests.faults.switches import Switches
from tests.snapshots.store.origins import Answer

CHOICE = {"grants": ["functional", "personalization"], "policy": "1"}
SOON_S = 0.2 + 2.0  # the interval of these nodes, and two seconds
DAY_S, YEAR_S = 86_400.0, 365 * 86_400.0


def meanwhile(begin: Change, end: Change, says: str) -> Run:
    """A fault that lasts while a version is published: begun, told, ended, mended."""

    def run(scene: Scene) -> Told:
        scene.publish()
        with scene.running():
            scene.serves(1)
            begin(scene)
            scene.publish()
            said = scene.says(says)
            end(scene)
            mended_s = scene.serves(2)
            scene.settles()
        return Told(said, mended_s)

    return run


def answering(wrong: Callable[[FaultyOrigin], Answer], says: str, *, parts: bool = False) -> Run:
    """The origin answers wrongly meanwhile. parts: only for them."""
    where = "part_fault" if parts else "fault"
    return meanwhile(
        lambda scene: setattr(scene.origin, where, wrong(scene.origin)),
        lambda scene: setattr(scene.origin, where, None),
        says,
    )


down_later = meanwhile(
    lambda scene: scene.origin.stop(), lambda scene: scene.origin.start(), "store-unavailable"
)
no_names = meanwhile(
    lambda scene: scene.switches.set(no_names=True),
    lambda scene: scene.switches.set(),
    "store-unavailable",
)


def down_at_start_with_a_copy(scene: Scene) -> Told:
    """It starts from its disk."""
    scene.publish()
    with scene.node.running():
        scene.serves(1)
    scene.origin.stop()
    with scene.running():
        started_s = scene.serves(1)
        said = scene.says("store-unavailable")
        scene.origin.start()
        scene.publish()
        scene.serves(2)
        scene.settles()
    return Told(f"{said}; ready from the disk {started_s:.1f} s after it answered", started_s)


def down_at_start_without_a_copy(scene: Scene) -> Told:
    """It is alive, not ready, and every slot is empty."""
    scene.publish()
    scene.origin.stop()
    with scene.running() as node:
        said = scene.says("store-unavailable")
        assert (node.answers("healthz"), node.answers("readyz")) == (200, 503)
        scene.origin.start()
        mended_s = scene.serves(1)
        scene.settles()
    return Told(said, mended_s)


def slow_control(scene: Scene) -> Told:
    """The control object does not come to its end: a new version comes as ever."""
    scene.publish()
    with scene.running():
        scene.serves(1)
        scene.obeys(scene.pause("promo"))
        scene.origin.control_fault = scene.origin.slow
        scene.hangs(control_path("live"))
        scene.publish()
        took_s = scene.serves(2, within_s=SOON_S)
        said = scene.says(CONTROL)
        scene.origin.control_fault = None
        mended_s = scene.obeys(scene.pause())
        scene.settles()
    return Told(f"{said}; version 2 came in {took_s:.1f} s all the same", mended_s)


def slow_manifest_and_a_pause(scene: Scene) -> Told:
    """The manifest does not come to its end: a pause is obeyed as ever."""
    scene.publish()
    with scene.running():
        scene.serves(1)
        scene.origin.control_fault = scene.origin.serve
        scene.origin.fault = scene.origin.slow
        scene.hangs(channel_path("live"))
        scene.publish()
        took_s = scene.obeys(scene.pause("promo"), within_s=SOON_S)
        said = scene.says("got less")
        scene.origin.fault = None
        mended_s = scene.serves(2)
        scene.settles()
    return Told(f"{said}; the pause was obeyed in {took_s:.1f} s all the same", mended_s)


def stale_tag(scene: Scene) -> Told:
    """Nobody can tell that something is kept back, until the snapshot's date."""
    scene.publish()
    with scene.running() as node:
        scene.serves(1)
        scene.origin.fault = scene.origin.stale_tag
        scene.publish()
        polled = len(scene.origin.requests)
        wait_until(lambda: len(scene.origin.requests) > polled + 3)
        assert status(node)["troubles"] == []
        age_s = status(node)["snapshot_age_s"]
        scene.origin.fault = None
        mended_s = scene.serves(2)
    return Told(f"no trouble; snapshot_age_s {age_s:.0f} and growing, stale at its date", mended_s)


def corrupted_part(scene: Scene) -> Told:
    """A part of the copy has another byte when the node starts: it is fetched again."""
    scene.publish()
    with scene.node.running():
        scene.serves(1)
    (part,) = (scene.folder / "cache" / "parts").iterdir()
    broken = bytearray(part.read_bytes())
    broken[len(broken) // 2] ^= 1
    part.write_bytes(broken)
    with scene.running():
        mended_s = scene.serves(1)
        scene.settles()
        scene.publish()
        scene.serves(2)
    return Told("no trouble once it is fetched again", mended_s)


def corrupted_pointer(scene: Scene) -> Told:
    """Somebody writes into the file that workers follow."""
    scene.publish()
    with scene.running():
        scene.serves(1)
        pointer = scene.folder / "cache" / SERVING
        pointer.unlink()
        pointer.write_bytes(b"nonsense")
        said = scene.says("worker")
        scene.publish()
        mended_s = scene.serves(2)
        scene.settles()
    return Told(said.partition(": ")[2], mended_s)


def full_disk(scene: Scene) -> Told:
    """The next version does not fit, until there is room."""
    cache = scene.folder / "cache"
    cache.mkdir()
    mount("-t", "tmpfs", "-o", "size=2m", "none", str(cache))
    try:
        scene.publish()
        with scene.running():
            scene.serves(1)
            scene.publish(filling=random.Random(1).randbytes(2_000_000).hex())
            said = scene.says("disk-refused")
            mount("-o", "remount,size=64m", str(cache))
            mended_s = scene.serves(2)
            scene.settles()
    finally:
        subprocess.run(["umount", str(cache)], check=True)  # noqa: S607 # wherever it is
    return Told(said, mended_s)


def read_only_disk(scene: Scene) -> Told:
    """The node may no longer write to its copy; it runs without root's power over files."""
    scene.node.command[:0] = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    parts = scene.folder / "cache" / "parts"
    scene.publish()
    with scene.running():
        scene.serves(1)
        parts.chmod(0o500)
        scene.publish()
        said = scene.says("disk-refused")
        parts.chmod(0o700)
        mended_s = scene.serves(2)
        scene.settles()
    return Told(said, mended_s)


def clock_back(scene: Scene) -> Told:
    """Yesterday: what is offered now seems to come from tomorrow, and is within its date."""
    scene.publish()
    with scene.running() as node:
        scene.serves(1)
        scene.switches.set(clock_s=-DAY_S)
        scene.publish()
        scene.serves(2)
        troubles = status(node)["troubles"]
        scene.switches.set()
        mended_s = scene.serves(2)
        scene.settles()
    return Told("; ".join(troubles) or "no trouble: a new version is taken as ever", mended_s)


def clock_forward(scene: Scene) -> Told:
    """Next year: everything is past its date. What is served stays, what is offered is refused."""
    scene.publish()
    with scene.running():
        scene.serves(1)
        scene.switches.set(clock_s=YEAR_S)
        stale = scene.says("past its date")
        scene.publish()
        said = scene.says("expired")
        scene.switches.set()
        mended_s = scene.serves(2)
        scene.settles()
    return Told(f"{stale}; {said}", mended_s)


def clocks_apart(scene: Scene) -> Told:
    """A visitor goes from a node 90 s ahead to one that is right, and back: nothing is lost."""
    early = Switches(scene.folder, "ahead")
    early.set(clock_s=90.0)
    ahead = scene.another("cache-ahead", early)
    scene.publish()
    with ahead.running(), scene.running() as node:
        scene.serves(1, ahead)
        mended_s = scene.serves(1)
        cookie = ""
        for step, one in enumerate((ahead, node, ahead, node)):
            url, headers = f"{one.url}/v1/consent", {"cookie": cookie, **PERSON}
            kept = httpx.get(url, headers=headers).json()["grants"]
            assert kept == (CHOICE["grants"] if step else []), f"{step}: {kept}"
            reply = httpx.put(url, json=CHOICE, headers=headers)
            cookie = reply.headers["set-cookie"].partition(";")[0]
        assert status(ahead)["troubles"] == status(node)["troubles"] == []
    return Told("no trouble on either", mended_s)


def killed_at_every_step(scene: Scene) -> Told:
    """The node is killed before each step of taking a version, and started again."""
    scene.publish()
    with scene.node.running():
        scene.serves(1)
    step, slowest_s, done = 0, 0.0, False
    while not done:
        step += 1
        with scene.running():
            before = scene.version
            scene.serves(before)
            scene.switches.set(die_at_step=step)
            scene.publish()
            done = scene.takes(before + 1)
            scene.switches.set()
        with scene.running():
            slowest_s = max(slowest_s, scene.serves(scene.version))
            scene.settles()
    return Told(f"no trouble after the start; {step - 1} steps, the slowest start", slowest_s)


def killed_workers(scene: Scene) -> Told:
    """A worker is killed at some moment of each of ten swaps; another takes its place."""
    dice, slowest_s = random.Random(7), 0.0
    scene.publish()
    with scene.running() as node:
        scene.serves(1)
        for _ in range(10):
            scene.publish()
            time.sleep(dice.uniform(0.0, 0.6))
            if workers := node.workers():
                kill(dice.choice(workers))
            slowest_s = max(slowest_s, scene.serves(scene.version))
        scene.settles()
    return Told("workers: expected 2, 1 have reported", slowest_s)


def two_publishers(scene: Scene) -> Told:
    """Both publish five versions at once: ten versions come of it, one after the other."""
    scene.publish()
    with scene.running() as node:
        scene.serves(1)
        with ThreadPoolExecutor(2) as publishers:
            made = list(publishers.map(lambda _: scene.publish(), range(10)))
        assert sorted(made) == list(range(2, 12))
        mended_s = scene.serves(11)
        assert status(node)["troubles"] == []
    return Told("no trouble", mended_s)


def mount(*arguments: str) -> None:
    """Mounts, as root may."""
    subprocess.run(["mount", *arguments], check=True)  # noqa: S607 # wherever it is


def is_root() -> bool:
    """Whether mounts can be made here."""
    return os.geteuid() == 0 and Path("/proc/mounts").exists()


MATRIX = (
    Fault("origin down at start, with a local copy", down_at_start_with_a_copy),
    Fault("origin down at start, without one", down_at_start_without_a_copy, serves=(0, 1)),
    Fault("origin down later", down_later, slow=True),
    Fault("origin answers 500", answering(lambda _: origin.status(500), "got 500")),
    Fault("origin answers 403", answering(lambda _: origin.status(403), "got 403"), slow=True),
    Fault("origin answers 404", answering(lambda _: origin.status(404), "not-there"), slow=True),
    Fault(
        "manifest truncated",
        answering(lambda o: o.truncated, "store-unavailable"),
        slow=True,
    ),
    Fault(
        "part truncated",
        answering(lambda o: o.truncated, "store-unavailable", parts=True),
        slow=True,
    ),
    Fault("manifest one byte a second", answering(lambda o: o.slow, "got less"), slow=True),
    Fault("manifest one byte a second, and a pause", slow_manifest_and_a_pause, slow=True),
    Fault("control object one byte a second", slow_control, slow=True),
    Fault("part one byte a second", answering(lambda o: o.slow, "got less", parts=True), slow=True),
    Fault("manifest endless", answering(lambda _: origin.endless, "too-large"), slow=True),
    Fault("part endless", answering(lambda o: origin.endless, "too-large", parts=True), slow=True),
    Fault("manifest of a wrong length", answering(lambda o: o.wrong_length, "sync: "), slow=True),
    Fault(
        "part of a wrong length",
        answering(lambda o: o.wrong_length, "sync: ", parts=True),
        slow=True,
    ),
    Fault("manifest with a flipped bit", answering(lambda o: o.flipped, "bad-signature")),
    Fault("part with a flipped bit", answering(lambda o: o.flipped, "hash-mismatch", parts=True)),
    Fault("origin keeps to an old ETag", stale_tag, slow=True),
    Fault(
        "redirects in a loop", answering(lambda _: origin.looping, "at most 3 redirects"), slow=True
    ),
    Fault("origin's name does not resolve", no_names),
    Fault("part in the cache corrupted, then a start", corrupted_part, slow=True),
    Fault("pointer in the cache overwritten", corrupted_pointer),
    Fault("disk full", full_disk, root=True),
    Fault("disk read-only", read_only_disk, root=True),
    Fault("clock back a day", clock_back, slow=True),
    Fault("clock forward a year", clock_forward),
    Fault("two nodes 90 s apart", clocks_apart, serves=(1,), slow=True),
    Fault("node killed at every step", killed_at_every_step, serves=(), slow=True, away=True),
    Fault("worker killed in a swap, ten times", killed_workers, serves=(), slow=True, away=True),
    Fault("two publishers at once", two_publishers, serves=()),
)
