"""Labelled follow-ups: the JSON Lines that detectors are trained and scored on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from mining.conversations import FollowUp
from mining.groups import linked
from warehouse.errors import SettingsError, SourceUnavailable
from warehouse.records import Category, Message, Role, SignalKind

_MARK = b"\xef\xbb\xbf"  # some editors begin UTF-8 with it
_CATEGORIES = ", ".join(Category)


class Labelled(msgspec.Struct, frozen=True, kw_only=True):
    """One labelled follow-up."""

    id: str
    group: str  # rows of one group are never split: a minimal set, or a conversation
    follow_up: FollowUp
    category: Category | None  # None where the annotators differ, or nobody has labelled it
    signal: SignalKind | None
    source: str | None = None
    hard: bool | None = None  # written to mislead


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A row and its line, which may have keys that are not known here."""

    labelled: Labelled
    line: bytes


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What one annotator says of one follow-up."""

    id: str
    group: str
    category: Category | None
    signal: SignalKind | None


class _Labels(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that any label file may have; keys that are not named here are ignored."""

    id: str | int | None = None
    label: Category | None | UnsetType = UNSET
    signal: SignalKind | None | UnsetType = UNSET
    context: Sequence[Message] | None = None  # before `user`, oldest first
    pair: str | None = None
    conversation: str | None = None


class _Row(_Labels, frozen=True, kw_only=True):
    """A line of labelled follow-ups."""

    user: str
    assistant: str
    follow_up: str
    language: str | None = None
    source: str | None = None
    hard: bool | None = None


class _Annotation(_Labels, frozen=True, kw_only=True):
    """A line of labels alone. `category`: what `--scores` writes in the place of a label."""

    user: str | None = None
    assistant: str | None = None
    follow_up: str | None = None
    category: Category | None = None


_Line = TypeVar("_Line", bound=_Labels)


def read_labelled(path: Path) -> list[Labelled]:
    """All rows of a file. Raises SourceUnavailable, or SettingsError with the line's number."""
    return [given.labelled for given in read_given(path)]


def read_given(path: Path) -> list[Given]:
    """All rows, with the keys of their lines. Raises as `read_labelled`."""
    return [given for _, given in read_files([path])]


def read_files(paths: Sequence[Path]) -> list[tuple[Path, Given]]:
    """The rows of several files: a group may reach over them. Raises as `read_labelled`."""
    needs = "user, assistant and follow_up"
    found = [(path, row, line) for path in paths for row, line in _lines(path, _Row, needs)]
    rows = [row for _, row, _ in found]
    names = [_name(row, (row.user, row.assistant, row.follow_up)) for row in rows]
    groups = linked([_groups(row, name) for row, name in zip(rows, names, strict=True)])
    labelled = map(_labelled, rows, names, groups)
    return [
        (path, Given(labelled=row, line=line))
        for row, (path, _, line) in zip(labelled, found, strict=True)
    ]


def read_labels(path: Path) -> list[Label]:
    """The labels of a file, which need not repeat the texts. Raises as `read_labelled`."""
    rows = [row for row, _ in _lines(path, _Annotation, "id, or the three texts, and a label")]
    names = [_name(row, (row.user, row.assistant, row.follow_up)) for row in rows]
    groups = linked([_groups(row, name) for row, name in zip(rows, names, strict=True)])
    found = []
    for row, name, group in zip(rows, names, groups, strict=True):
        category, signal = _verdict(row, row.category)
        found.append(Label(id=name, group=group, category=category, signal=signal))
    return found


def _lines(path: Path, kind: type[_Line], needs: str) -> Iterator[tuple[_Line, bytes]]:
    try:
        lines = path.read_bytes().removeprefix(_MARK).splitlines()
    except OSError as error:
        raise SourceUnavailable(
            f"{path}: cannot be read ({error.strerror}). Name a file of JSON lines."
        ) from error
    if not any(line.strip() for line in lines):
        raise SettingsError(f"{path}: holds no rows. Name a file of JSON lines.")
    decode = msgspec.json.Decoder(kind).decode
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = decode(line)
            _check(row)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{path}, line {number}: no labelled follow-up ({_reason(error)}). Each line is "
                f"a JSON object with {needs}; a label is one of {_CATEGORIES}. See "
                "docs/detection.md."
            ) from error
        yield row, line


def _check(row: _Labels) -> None:
    """Raises ValidationError where label and signal gainsay each other, or no id can be made."""
    if isinstance(row.label, Category) and isinstance(row.signal, SignalKind):
        if row.label.signal is not row.signal:
            raise msgspec.ValidationError(
                f"label {row.label} has the signal {row.label.signal}, not {row.signal}"
            )
    if isinstance(row, _Annotation) and row.id is None:
        if None in (row.user, row.assistant, row.follow_up):
            raise msgspec.ValidationError("neither an id nor the texts to make one from")


def _reason(error: Exception) -> str:
    # A UnicodeDecodeError's own text is about Python's codecs.
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _labelled(row: _Row, name: str, group: str) -> Labelled:
    category, signal = _verdict(row)
    return Labelled(
        id=name,
        group=group,
        follow_up=FollowUp(
            user=row.user,
            answer=row.assistant,
            follow_up=row.follow_up,
            earlier=tuple(m.content for m in row.context or () if m.role is Role.USER),
            language=row.language,
        ),
        category=category,
        signal=signal,
        source=row.source,
        hard=row.hard,
    )


def _verdict(
    row: _Labels, instead: Category | None = None
) -> tuple[Category | None, SignalKind | None]:
    """Category and signal. A signal that the file leaves out follows from the label; one that is
    null says that the annotators differ."""
    category = instead if row.label is UNSET else row.label
    if row.signal is UNSET:
        return category, category.signal if category else None
    return category, row.signal


def _name(row: _Labels, texts: Sequence[str | None]) -> str:
    """The row's id, or one made of its texts, the same in every file that holds them."""
    if row.id is not None:
        return str(row.id)
    said = [[m.role, m.content] for m in row.context or ()]
    return "sha-" + hashlib.sha256(msgspec.json.encode([said, *texts])).hexdigest()[:16]


def _groups(row: _Labels, name: str) -> list[str]:
    given = [each for each in (row.pair, row.conversation) if each is not None]
    # Ids of one conversation's turns differ in a last "-t4" only.
    return given or [re.sub(r"-t\d+$", "", name)]
