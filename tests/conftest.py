"""What all tests share: Hypothesis profiles, and components that may be missing on a user's
machine but not in CI."""

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests last: Playwright's loop in this thread must not meet other tests' loops."""
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
