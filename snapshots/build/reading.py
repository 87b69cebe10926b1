"""A playbook's folder in, a WrittenPlaybook out, or every error of every file at once.

Only what is written is checked here: YAML, keys, types, files. What it means (attributes, slots,
expressions, templates) is checked by `compile_playbook`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from decisions.errors import PlaybookErrors, Position, Problem
from decisions.playbook import (
    FragmentText,
    PlaybookTest,
    Rule,
    SegmentDecl,
    Settings,
    WrittenPath,
    WrittenPlaybook,
)
from snapshots.build.shapes import Mismatch, mismatches, said
from snapshots.build.yaml12 import Document, load

MAX_FILE_BYTES = 8 * 2**20  # 10,000 rules in one file take 1 to 4 MiB
MAX_FRAGMENT_BYTES = 2**17  # a fragment travels in every reply
MAX_FILES = 10_000

KINDS = {".html": "html", ".json": "json"}
MEANT = {".htm": ".html", ".mustache": ".html", ".hbs": ".html", ".yml": ".yaml"}
FILES = ("playbook.yaml", "rules.yaml", "segments.yaml", "tests.yaml", "sources.yaml")
FOLDERS = ("rules", "segments", "tests", "fragments")


def read_playbook(path: str | Path) -> WrittenPlaybook:
    """The playbook in a folder.

    `playbook.yaml` must be there; rules, segments and tests are in `rules.yaml`, in `rules/*.yaml`
    or in both (files in name order), fragments in `fragments/`. Raises PlaybookErrors with every
    error of every file, positions relative to the folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        got = "a file" if folder.exists() else "nothing there"
        message = f"expected the folder of a playbook, got {got}"
        raise PlaybookErrors([Problem(code="no-playbook", message=message, at=Position(str(path)))])
    reading = _Reading(folder)
    reading.strangers()
    settings = reading.settings()
    segments, rules, tests = reading.segments(), reading.rules(), reading.tests()
    fragments = reading.fragments()
    if reading.problems:
        raise PlaybookErrors(reading.problems)
    return WrittenPlaybook(
        settings=msgspec.convert(settings, Settings),
        segments=msgspec.convert(segments, dict[str, SegmentDecl]),
        rules=msgspec.convert(rules, tuple[Rule, ...]),
        fragments=fragments,
        tests=msgspec.convert(tests, tuple[PlaybookTest, ...]),
        positions=reading.positions,
        lines=reading.lines,
    )


class _Reading:
    """One pass over a folder: what is read is returned, what is wrong and where is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        self.positions: dict[WrittenPath, Position] = {}
        self.lines: dict[str, tuple[str, ...]] = {}

    def strangers(self) -> None:
        """A file that is named almost like one of ours would be read by nobody."""
        for entry in sorted(self.folder.iterdir()):
            if entry.name in FILES or entry.name in FOLDERS or entry.name.startswith("."):
                continue
            near = difflib.get_close_matches(entry.name, FILES + FOLDERS, 1, cutoff=0.8)
            if near:
                self._refuse("stray-file", f"expected {near[0]}, got {entry.name}", entry.name)

    def settings(self) -> Any:
        if not (self.folder / "playbook.yaml").exists():
            self._refuse(
                "no-playbook", "expected a file playbook.yaml, found none", "playbook.yaml"
            )
            return None
        document = self._document(self.folder / "playbook.yaml")
        value = document.value if document else None
        if document is None or (value is None and document.problems):
            return None
        if isinstance(value, dict):
            _as_typed(value.get("tags"), document, ("tags",))
        for path, place in document.places.items():
            self.positions["settings", *path] = place
        self._compare(document, value, Settings, ())
        return value

    def segments(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for document in self._documents("segments"):
            if not isinstance(document.value, dict):
                self._want(document, "a map of segments")
                continue
            twice = found.keys() & document.value.keys()
            for name in sorted(twice):
                first, place = self.positions["segments", name], document.keys[(name,)]
                what = f"segment {name} is there twice, first at {first.file}:{first.line}"
                self.problems.append(document.problem("duplicate-key", what, place, len(name)))
            for path, place in document.places.items():
                if path and path[0] not in twice:
                    self.positions["segments", *path] = place
            for name, written in document.value.items():
                if name not in twice:
                    found[name] = self._segment(document, name, written)
        return found

    def _segment(self, document: Document, name: str, written: Any) -> Any:
        if isinstance(written, dict):
            _as_typed(written, document, (name,), "when")
            self._compare(document, written, SegmentDecl, (name,))
            return written
        self.positions["segments", name, "when"] = document.where((name,))
        self.positions["segments", name] = document.keys[(name,)]
        if isinstance(written, list) or written is None:
            what = f"expected an expression, or a map with when, got {said(written)}"
            self._report(document, Mismatch("wrong-type", what, (name,)))
        return {"when": document.written.get((name,), "")}

    def rules(self) -> list[Any]:
        return self._list("rules", Rule)

    def tests(self) -> list[Any]:
        return self._list("tests", PlaybookTest)

    def _list(self, what: str, type_: type[Any]) -> list[Any]:
        found: list[Any] = []
        for document in self._documents(what):
            if not isinstance(document.value, list):
                self._want(document, f"a list of {what}")
                continue
            for (first, *rest), at in list(document.places.items())[1:]:
                self.positions[what, len(found) + int(first), *rest] = at
            for place, item in enumerate(document.value):
                _as_typed(item, document, (place,), "when")
                self._compare(document, item, type_, (place,))
            found += document.value
        return found

    def fragments(self) -> dict[str, FragmentText]:
        found: dict[str, FragmentText] = {}
        for path in self._files_in(self.folder / "fragments"):
            file = self._name(path)
            if meant := MEANT.get(path.suffix):
                self._refuse("stray-file", f"expected {meant}, got {path.suffix}", file)
            if path.suffix not in KINDS:
                continue
            name = path.relative_to(self.folder / "fragments").with_suffix("").as_posix()
            if name in found:
                what = f"fragment {name} is there twice, first as {found[name].file}"
                self._refuse("duplicate-fragment", what, file)
                continue
            text = (self._text(path, MAX_FRAGMENT_BYTES) or "").removesuffix("\n")
            found[name] = FragmentText(name, text, file, KINDS[path.suffix])
            self.positions["fragments", name] = Position(file)
        return found

    # Files

    def _documents(self, what: str) -> Iterator[Document]:
        """`what.yaml`, then `what/*.yaml` in name order, but for empty ones."""
        single = self.folder / f"{what}.yaml"
        for path in (*([single] if single.exists() else []), *self._files_in(self.folder / what)):
            if meant := MEANT.get(path.suffix):
                self._refuse("stray-file", f"expected {meant}, got {path.suffix}", self._name(path))
            if path.suffix == ".yaml":
                document = self._document(path)
                if document and document.value is not None:
                    yield document

    def _files_in(self, folder: Path) -> list[Path]:
        """Every file below a folder in name order, hidden ones left out."""
        if not folder.exists():
            return []
        if not folder.is_dir():
            self._refuse("stray-file", "expected a folder, got a file", self._name(folder))
            return []

        def hidden(path: Path) -> bool:
            return any(part.startswith(".") for part in path.relative_to(folder).parts)

        found = [path for path in folder.rglob("*") if not hidden(path) and path.is_file()]
        if len(found) > MAX_FILES:
            what = f"expected at most {MAX_FILES} files, got {len(found)}"
            self._refuse("too-large", what, self._name(folder))
            return []
        return sorted(found, key=self._name)

    def _document(self, path: Path) -> Document | None:
        text = self._text(path, MAX_FILE_BYTES)
        if text is None:
            return None
        document = load(text, self._name(path))
        self.lines[document.file] = document.lines
        self.problems += document.problems
        return document

    def _text(self, path: Path, max_bytes: int) -> str | None:
        """A file's text with plain line ends; None after a problem."""
        file = self._name(path)
        try:
            with path.open("rb") as stream:
                data = stream.read(max_bytes + 1)
        except OSError as error:
            self._refuse("unreadable", f"expected a file to read, got {error.strerror}", file)
            return None
        if len(data) > max_bytes:
            self._refuse("too-large", f"expected at most {max_bytes} bytes, got more", file)
            return None
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            what = f"expected UTF-8, got the byte 0x{data[error.start]:02x}"
            self._refuse("not-utf8", what, file, line)
            return None
        return text.replace("\r\n", "\n")

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    # Problems and positions

    def _compare(self, document: Document, value: Any, type_: Any, path: WrittenPath) -> None:
        for mismatch in mismatches(value, type_, path):
            self._report(document, mismatch)

    def _report(self, document: Document, mismatch: Mismatch) -> None:
        place, length = document.where(mismatch.path), 1
        if mismatch.code == "unknown-key":
            place, length = document.keys[mismatch.path], len(str(mismatch.path[-1]))
        elif written := document.written.get(mismatch.path):
            length = len(written.split("\n", 1)[0])
        self.problems.append(document.problem(mismatch.code, mismatch.message, place, length))

    def _want(self, document: Document, wanted: str) -> None:
        what = f"expected {wanted}, got {said(document.value)}"
        self._report(document, Mismatch("wrong-type", what, ()))

    def _refuse(self, code: str, message: str, file: str, line: int = 1) -> None:
        self.problems.append(Problem(code=code, message=message, at=Position(file, line)))


def _as_typed(entries: Any, document: Document, path: WrittenPath, *only: str) -> None:
    """Put back what was typed where an expression belongs: `when: true` is text, not a truth."""
    if isinstance(entries, dict):
        for key in only or list(entries):
            typed = document.written.get((*path, key))
            if typed and key in entries:
                entries[key] = typed
