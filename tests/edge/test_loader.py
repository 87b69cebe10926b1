"""The page's scripts: small, plain, and what is served is what is read."""

from __future__ import annotations

import gzip

import pytest

from tests.edge.minify import SCRIPTS, STATIC, minified


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_served_script_is_the_readable_one_minified(script: str) -> None:
    served = (STATIC / f"{script}.min.js").read_text(encoding="utf-8")
    assert served == minified(script), "run make loader"


@pytest.mark.parametrize(("script", "most"), [("loader", 2048), ("engagement", 512)])
def test_a_script_weighs_little_compressed(script: str, most: int) -> None:
    assert len(gzip.compress((STATIC / f"{script}.min.js").read_bytes(), 9, mtime=0)) <= most


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_needs_no_relaxed_content_security_policy(script: str) -> None:
    text = (STATIC / f"{script}.js").read_text(encoding="utf-8")
    assert not any(word in text for word in ("eval(", "new Function", "document.write", "style="))
