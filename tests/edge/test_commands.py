"""The command line: what each command prints, and its exit code: 0 done, 1 wrong, 2 misused."""

from __future__ import annotations

import io
import json
import stat
import time
from pathlib import Path

import pytest

from edge import cli
from edge.cli import COMMANDS, main
from edge.keyring import KeyFile
from snapshots.manifest import part_path
from snapshots.store import open_store
from tests.edge.nodes import publish

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def playbook(tmp_path: Path) -> Path:
    """What `edgewise new` makes."""
    folder = tmp_path / "site"
    assert main(["new", str(folder)]) == 0
    return folder


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Keys and a store with one version."""
    assert main(["keys", "new", str(tmp_path / "keys")]) == 0
    publish(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0

    assert capsys.readouterr().out.startswith(f"usage: edgewise {name}")


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    said = capsys.readouterr().out
    assert all(f"    {name} " in said for name in COMMANDS)


@pytest.mark.parametrize("words", [[], ["nonsense"], ["check"], ["serve", "--nonsense"]])
def test_a_command_line_that_makes_no_sense_is_exit_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert "usage: edgewise" in capsys.readouterr().err


def test_a_new_playbook_passes_check_and_test(
    playbook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(playbook)]) == 0
    assert "no errors, no warnings" in capsys.readouterr().out

    assert main(["test", str(playbook)]) == 0
    assert "4 tests, 0 failed" in capsys.readouterr().out


def test_a_folder_with_files_is_not_overwritten(
    playbook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", str(playbook)]) == 1
    assert "expected a new or empty folder" in capsys.readouterr().err


def test_check_reports_every_error_with_its_place_and_a_caret(
    playbook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = playbook / "rules.yaml"
    rules.write_text(
        rules.read_text()
        .replace('"loyal" in segments', 'geo.contry == "FR"')
        .replace('interest["shoes"] >= 40', 'geo.country == "FR" &&')
    )
    (playbook / "sources.yaml").write_text("purchases: {}\n")

    assert main(["check", str(playbook)]) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert "rules.yaml:" in said.err
    assert "did you mean geo.country?" in said.err
    assert "^^^" in said.err
    assert said.err.count(" error: ") >= 3
    assert "sources.yaml:" in said.err


def test_check_prints_warnings_and_passes(
    playbook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (playbook / "fragments" / "hero" / "unused.html").write_text("<p></p>")

    assert main(["check", str(playbook)]) == 0
    assert "warning: " in capsys.readouterr().out


def test_a_playbook_that_is_not_there_is_exit_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(tmp_path / "none")]) == 1
    assert "error" in capsys.readouterr().err


def test_a_failing_test_shows_the_difference_and_the_steps(
    playbook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = playbook / "tests.yaml"
    tests.write_text(
        tests.read_text().replace("expect: {hero: hero/cart}", "expect: {hero: hero/offer}")
        + "- {name: Nobody, given: {geo: {contry: FR}}, expect: {hero: hero/welcome}}\n"
    )

    assert main(["test", str(playbook)]) == 1

    said = capsys.readouterr().out
    assert "hero: expected hero/offer, got hero/cart (MATCH)" in said
    assert "tests.yaml:" in said
    assert "did you mean" in said
    assert "5 tests, 2 failed" in said


def test_decide_answers_for_a_playbook(
    playbook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = tmp_path / "facts.yaml"
    facts.write_text("cart: {items: 2, updated_at: -20m}\n")
    words = ["decide", str(playbook), "--slot", "hero", "--facts", str(facts)]

    assert main([*words, "--explain", "--render"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("hero: hero/cart (MATCH, rule cart-reminder)\n")
    assert "hero shows hero/cart because tags contains cart_abandoner (rule cart-reminder)" in said
    assert "2 in your basket" in said

    assert main([*words, "--why-not", "shoes"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "why not shoes:",
        '  rule shoes did not match: interest["shoes"] is unknown',
        "  hero shows hero/cart because tags contains cart_abandoner (rule cart-reminder)",
        '  [absent] interest["shoes"] >= 40: interest["shoes"] is unknown',
    ]

    assert main([*words, "--grants", ""]) == 0
    assert capsys.readouterr().out == "hero: hero/welcome (DEFAULT)\n"
    assert main([*words, "--now", "2026-01-01"]) == 0


def test_the_page_on_rules_shows_what_decide_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    facts = page.split("# facts.yaml")[1].split("```")[0]
    command, _, shown = page.split("$ edgewise ")[1].split("```")[0].partition("\n")
    (tmp_path / "facts.yaml").write_text("#" + facts)
    words = [str(tmp_path / word) if word == "facts.yaml" else word for word in command.split()]
    monkeypatch.chdir(ROOT)

    assert main(words) == 0
    assert capsys.readouterr().out == shown


def test_decide_reads_facts_from_stdin_and_enters_experiments_with_a_unit(
    playbook: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"interest": {"shoes": 90}})))

    words = ["decide", str(playbook), "--slot", "hero", "--facts", "-", "--unit", "v1"]
    assert main(words) == 0

    assert "(SPLIT, rule shoes, variant " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("facts", "warning"),
    [
        ("interest: {brand: {acme: 60}}", "unknown member brand of interest (map<double>)"),
        ("interst: {shoes: 9}", "unknown attribute interst.shoes, did you mean interest?"),
        ("cart: {items: many}", "expected cart.items to be of type int"),
        ("interest: {shoes: 9}", ""),
    ],
)
def test_decide_warns_of_facts_that_it_leaves_out(
    playbook: Path, tmp_path: Path, facts: str, warning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "facts.yaml"
    file.write_text(facts)

    assert main(["decide", str(playbook), "--slot", "hero", "--facts", str(file)]) == 0

    said = capsys.readouterr().err
    assert warning in said
    assert said.count("it is left out - at") == bool(warning)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--slot", "nowhere"], "expected one of hero, got 'nowhere' - at --slot"),
        (["--slot", "hero", "--facts", "none.json"], "No such file or directory - at none.json"),
        (["--slot", "hero", "--grants", "all"], "expected of none, functional"),
        (["--slot", "hero", "--now", "soon"], "at --now"),
        (["--slot", "hero", "--why-not", "shoe"], "got 'shoe', did you mean shoes? - at --why-"),
        (["--slot", "hero", "--why-not", "?"], "expected a rule of slot hero, got '?' - at --why"),
    ],
)
def test_decide_says_what_it_expected(
    playbook: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decide", str(playbook), *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "expected nested facts, got list"),
        ("{", "expected YAML or JSON"),
        ("cart: {updated_at: soon}", "at cart.updated_at"),
        ("cart: 5", ""),
    ],
)
def test_facts_that_are_none_are_refused(
    playbook: Path, tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = tmp_path / "facts.yaml"
    facts.write_text(text)

    code = main(["decide", str(playbook), "--slot", "hero", "--facts", str(facts)])

    assert code == (2 if message else 0)
    assert message in capsys.readouterr().err


def test_decide_answers_for_a_store(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, keys = str(published / "store"), str(published / "keys")
    capsys.readouterr()

    assert main(["decide", store, "--slot", "hero", "--keys", keys]) == 0

    assert capsys.readouterr().out == "hero: hero/welcome (DEFAULT)\n"


def test_inspect_shows_version_dates_and_parts(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, keys = str(published / "store"), str(published / "keys")

    assert main(["inspect", store]) == 0
    assert "live version 1, signature not checked" in capsys.readouterr().out

    assert main(["inspect", store, "--keys", keys]) == 0
    said = capsys.readouterr().out
    assert "live version 1, signed by " in said
    assert "ledger     revision 1, sha256 " in said
    assert "program" in said


def test_verify_checks_every_part(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["verify", str(published / "store"), "--keys", str(published / "keys")]
    assert main(words) == 0
    assert "ok      program opens: " in capsys.readouterr().out

    from edge.published import Published, keys_in

    found = Published(words[1], "live", keys_in(words[3]))
    path = published / "store" / part_path(found.manifest.parts[0])
    raw = bytearray(path.read_bytes())
    raw[10] ^= 1
    path.write_bytes(bytes(raw))

    assert main(words) == 1
    assert "WRONG   program: hash-mismatch: expected sha256" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["inspect", "verify", "decide"])
def test_a_store_that_is_not_there_is_one_clear_message(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["keys", "new", str(tmp_path / "keys")])
    more = ["--slot", "hero"] if command == "decide" else []
    words = [command, str(tmp_path / "none"), "--keys", str(tmp_path / "keys"), *more]

    assert main(words) == 1

    said = capsys.readouterr().err
    assert said.startswith("edgewise: error: expected ")
    assert str(tmp_path / "none") in said


def test_what_is_no_manifest_is_refused(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (published / "store" / "channels" / "live.jws").write_bytes(b"nonsense")

    assert main(["inspect", str(published / "store")]) == 1
    assert "expected a signed manifest, got 8 other bytes" in capsys.readouterr().err


def test_keys_are_made_private_and_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    assert main(["keys", "new", str(keys)]) == 0

    for name in ("cookie.jwks", "identify.jwks", "publisher.private.jwks"):
        assert stat.S_IMODE((keys / name).stat().st_mode) == 0o600
    before = (keys / "cookie.jwks").read_bytes()
    assert main(["keys", "new", str(keys)]) == 1
    assert "expected a folder without keys" in capsys.readouterr().err
    assert (keys / "cookie.jwks").read_bytes() == before


def test_a_rotated_key_signs_and_the_old_one_still_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    main(["keys", "new", str(keys)])
    old = KeyFile(keys / "cookie.jwks").ring.signing.kid

    assert main(["keys", "rotate", str(keys)]) == 0

    ring = KeyFile(keys / "cookie.jwks").ring
    assert ring.signing.kid != old
    assert old in ring.by_kid
    assert stat.S_IMODE((keys / "cookie.jwks").stat().st_mode) == 0o600
    assert main(["keys", "rotate", str(tmp_path / "none")]) == 1


def test_a_playbook_without_segments_is_built_and_published(
    playbook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["keys", "new", str(tmp_path / "keys")])
    (playbook / "segments.yaml").unlink()
    for name in ("rules.yaml", "tests.yaml"):
        text = (playbook / name).read_text()
        (playbook / name).write_text(
            text.replace('"loyal" in segments', 'geo.country == "FR"').replace(
                "segments: [loyal]", "geo: {country: FR}"
            )
        )
    words = ["build", str(playbook), "--store", str(tmp_path / "store")]
    words += ["--keys", str(tmp_path / "keys"), "--now", "2026-01-01"]

    assert main(words) == 0

    assert "published live version 1" in capsys.readouterr().out.replace("\n", " ")
    assert open_store(str(tmp_path / "store")).read("channels/live.jws", 10_000)
    assert main([*words, "--now", "soon"]) == 2
    assert main([*words, "--data", str(tmp_path / "none")]) == 1
    assert "error" in capsys.readouterr().err


def test_build_says_which_extra_it_needs(
    playbook: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edge.commands.build.NEEDED", ("no_such_package",))

    assert main(["build", str(playbook), "--store", "nowhere"]) == 1
    assert "pip install 'edgewise[build]'" in capsys.readouterr().err


def test_health_says_that_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--port", "1"]) == 1
    assert "expected an answer, got " in capsys.readouterr().out


def test_an_interrupted_command_and_a_reader_that_left_are_no_errors(
    monkeypatch: pytest.MonkeyPatch, playbook: Path
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("edge.commands.check.run", interrupted)
    assert main(["check", str(playbook)]) == cli.INTERRUPTED


def test_commands_do_not_load_what_they_do_not_need() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from edge.cli import main; main(['serve', '--help']);"
        "assert not {'ibis', 'duckdb', 'pyarrow', 'rich'} & set(sys.modules)"
    )
    started_s = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started_s < 60
