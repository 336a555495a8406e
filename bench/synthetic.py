"""Logs for measurements: any number of records, and of damage as much as is said."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILES = 8
SEED = 7
ERASED = "u-erased"  # the user whose records must be left out

_WORDS = (
    "the of a to model answer please write code table why not what about this again summer river "
    "explain short long list city price error python file line paper story help translate email"
).split()
# So many that no two random texts of a million are near duplicates.
_MANY_WORDS = [f"{one}{other}" for one in _WORDS for other in _WORDS]


def wildchat(folder: Path, conversations: int) -> None:
    """WildChat-shaped logs, about 1.8 kB a record; 1% copies and 0.5% broken lines."""
    rng = random.Random(SEED)
    for number in range(FILES):
        with (folder / f"{number}.jsonl").open("w") as file:
            for index in range(number, conversations, FILES):
                line = json.dumps(_wildchat(rng, index), ensure_ascii=False)
                file.write(line[: len(line) // 2] if rng.random() < 0.005 else line)
                file.write("\n")
                if rng.random() < 0.01:
                    file.write(line + "\n")


def tiny(folder: Path, files: int) -> None:
    """Logs of one conversation each."""
    rng = random.Random(SEED)
    for number in range(files):
        (folder / f"{number}.jsonl").write_text(json.dumps(_wildchat(rng, number)) + "\n")


def _wildchat(rng: random.Random, index: int) -> dict[str, object]:
    messages = []
    for turn in range(2 * rng.choice((1, 1, 1, 2, 2, 4))):
        user = turn % 2 == 0
        messages.append(
            {
                "role": "user" if user else "assistant",
                "content": _text(rng, rng.randint(5, 30 if user else 130)),
                "language": "English",
                "timestamp": None if user else "2023-04-09T00:02:53Z",
                "toxic": False,
                "redacted": False,
                "turn_identifier": index * 10 + turn,
                "hashed_ip": f"{index % 5000:064x}" if user else None,
            }
        )
    return {
        "conversation_hash": f"{index:032x}",
        "model": "gpt-4-0314",
        "timestamp": "2023-04-09T00:02:53+00:00",
        "conversation": messages,
        "turn": len(messages) // 2,
        "language": "English",
        "toxic": False,
        "redacted": False,
        "country": "France",
    }


def _text(rng: random.Random, words: int, known: Sequence[str] = _WORDS) -> str:
    return " ".join(rng.choices(known, k=words))


@dataclass
class Expected:
    """What must come of the damaged logs."""

    lines_in: int = 0
    conversations: int = 0
    duplicates: int = 0
    suppressed: int = 0
    near_duplicates: int = 0
    opted_out: int = 0
    emails: int = 0
    rejected: dict[str, int] = field(default_factory=dict)

    def reject(self, reason: str) -> None:
        """One more."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1


Record = dict[str, Any]


def damaged(folder: Path, lines: int, long_line: int) -> Expected:
    """Openai-shaped logs, of every kind of damage one line in 100; what must come of them.

    Of lines that are longer than `long_line` bytes one in 10,000: 1% of them would be gigabytes.
    Copies, near copies and clashes stand in another file than what they are like.
    """
    rng, expected = random.Random(SEED), Expected(lines_in=lines)
    files = [(folder / f"{number}.jsonl").open("wb") for number in range(FILES)]
    try:
        for number, line in enumerate(_lines(rng, lines, long_line, expected)):
            files[number % FILES].write(line + b"\n")
    finally:
        for file in files:
            file.close()
    return expected


def _lines(rng: random.Random, lines: int, long_line: int, expected: Expected) -> Iterator[bytes]:
    recent: deque[Record] = deque([{}] * len(_DAMAGE), maxlen=len(_DAMAGE))
    for number in range(lines):
        kind = number % 100
        if number % 10_000 == 99:
            expected.reject("line_too_long")
            yield b'{"x": "%s"}' % (b"x" * long_line)
        elif kind < len(_DAMAGE):
            # Each kind is made of another of the last hundred's records: none suffers two.
            yield _DAMAGE[kind](_record(rng, number), recent[kind], expected)
        else:
            expected.conversations += 1
            recent.append(record := _record(rng, number))
            yield json.dumps(record).encode()


def _record(rng: random.Random, number: int) -> Record:
    return {
        "id": f"c{number}",
        "user": f"u{number % 5000}",
        "model": "gpt-4-0314",
        "created_at": f"2026-03-01T10:00:{number % 60:02d}Z",
        "messages": [
            {"role": "user", "content": _text(rng, rng.randint(18, 30), _MANY_WORDS)},
            {"role": "assistant", "content": _text(rng, rng.randint(20, 60), _MANY_WORDS)},
        ],
    }


def _bad_utf8(new: Record, original: Record, expected: Expected) -> bytes:
    expected.reject("invalid_utf8")
    return json.dumps(new).encode().replace(b"gpt-4", b"gpt-\xff4")


def _bad_json(new: Record, original: Record, expected: Expected) -> bytes:
    expected.reject("invalid_json")
    return json.dumps(new).encode()[:-20]


def _wrong_shape(new: Record, original: Record, expected: Expected) -> bytes:
    expected.reject("wrong_shape")
    return json.dumps(new | {"messages": "none"}).encode()


def _no_user(new: Record, original: Record, expected: Expected) -> bytes:
    expected.reject("no_user_turn")
    return json.dumps(new | {"messages": new["messages"][1:]}).encode()


def _clash(new: Record, original: Record, expected: Expected) -> bytes:
    if not original:
        expected.conversations += 1
        return json.dumps(new).encode()
    expected.reject("id_clash")
    return json.dumps(new | {"id": original["id"]}).encode()


def _copy(new: Record, original: Record, expected: Expected) -> bytes:
    if not original:
        expected.conversations += 1
        return json.dumps(new).encode()
    expected.duplicates += 1
    return json.dumps(original).encode()


def _near_copy(new: Record, original: Record, expected: Expected) -> bytes:
    """The same questions, by another user, and another answer."""
    expected.conversations += 1
    if original:
        expected.near_duplicates += 2
        asked, answered = original["messages"][0], new["messages"][1]
        new = new | {"messages": [asked, answered]}
    return json.dumps(new).encode()


def _erased(new: Record, original: Record, expected: Expected) -> bytes:
    expected.suppressed += 1
    return json.dumps(new | {"user": ERASED}).encode()


def _opted_out(new: Record, original: Record, expected: Expected) -> bytes:
    expected.conversations += 1
    expected.opted_out += 1
    return json.dumps(new | {"opt_out": True}).encode()


def _surrogate(new: Record, original: Record, expected: Expected) -> bytes:
    expected.conversations += 1
    return json.dumps(new).encode().replace(b'"content": "', b'"content": "\\ud800 ', 1)


def _address(new: Record, original: Record, expected: Expected) -> bytes:
    expected.conversations += 1
    expected.emails += 1
    place = b'"content": "write to ann@example.org '
    return json.dumps(new).encode().replace(b'"content": "', place, 1)


_DAMAGE: tuple[Callable[[Record, Record, Expected], bytes], ...] = (
    *(_bad_utf8, _bad_json, _wrong_shape, _no_user, _clash, _copy, _near_copy, _erased),
    *(_opted_out, _surrogate, _address),
)
