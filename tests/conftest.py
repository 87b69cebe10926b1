"""What all tests share: Hypothesis profiles, components that may be missing on a user's machine but
not in CI, and which tests wait for nobody, so that two may run at a time."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import hypothesis
import pytest

from tests.snapshots.store.buckets import s3_port, s3_url

__all__ = ["s3_port", "s3_url"]  # fixtures that several folders use

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")

WHERE = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # of a venv, too
COMPONENTS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "nginx": ("nginx",),
    "s3": ("weed",),
    "sudo": ("setpriv",),
    "systemd": ("systemd-analyze",),
    "varnish": ("varnishd",),
}


# What a test module that starts nodes, listens, or is sent signals has among its names.
REAL = {"Node", "free_port", "signal", "socket", "subprocess"}


def is_alone(item: pytest.Item) -> bool:
    """Whether a test has to have the machine for itself: times are part of what it sees. Nothing in
    the folders of `decisions` and `snapshots` does."""
    if {"decisions", "snapshots"} & {*item.path.parts}:
        return False
    if {"end_to_end", "faults"} & {*item.path.parts} or item.get_closest_marker("needs"):
        return True
    return isinstance(item, pytest.Function) and not REAL.isdisjoint(vars(item.module))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests last: Playwright's loop in this thread must not meet other tests' loops."""
    for item in items:
        if is_alone(item):
            item.add_marker("alone")
    items.sort(key=lambda item: "end_to_end" in item.path.parts)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose component is missing; in CI that is a failure, so that a skip cannot
    hide."""
    for marker in item.iter_markers("needs"):
        name = marker.args[0]
        if not any(shutil.which(command, path=WHERE) for command in COMPONENTS[name]):
            if os.environ.get("CI"):
                pytest.fail(f"expected {name} on this machine (CI installs it), found none")
            pytest.skip(f"needs {name}")
