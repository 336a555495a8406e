"""The example logs are what their README says, and hold nothing that they must not."""

import gzip
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from ingestion.assemble import Assembled, Assembler, Assembly, Origin
from ingestion.formats.detect import detect
from ingestion.logs.contents import Container, read
from ingestion.logs.lines import Limits, Line, Span
from ingestion.redact.options import RedactionOptions
from warehouse.records import ReasonCode, Reject, Role, Turn

EXAMPLES = Path(__file__).parents[2] / "examples"
LOGS = sorted((EXAMPLES / "logs").iterdir())
ADDRESS = re.compile(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)")

each_log = pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)


def lines_of(log: Path) -> list[Line]:
    limits = Limits(line_bytes=1 << 20, expansion=200)
    lines = read(str(log), Container.LINES, Span(0, None), limits)
    return [line for line in lines if isinstance(line, Line)]


@cache
def assembler() -> Assembler:
    return Assembler(Assembly(secret=b"example", redaction=RedactionOptions()))


def parsed(log: Path, lines: Iterable[Line]) -> list[object]:
    reader = detect([line.data for line in lines])
    assert reader is not None
    origin = Origin(file=log.name, source=reader.name)
    return [assembler().assemble(reader.read(line.data), line, origin) for line in lines]


def conversations_of(log: Path) -> list[list[Turn]]:
    """Without the line that stands in its log twice."""
    once = {line.data: line for line in lines_of(log)}.values()
    return [record.turns for record in parsed(log, once) if isinstance(record, Assembled)]


def follow_ups(turns: list[Turn]) -> int:
    """User messages that answer an answer to a user."""
    roles = [turn.role for turn in turns]
    asked = roles[roles.index(Role.USER) :]
    return list(pairwise(asked)).count((Role.ASSISTANT, Role.USER))


def strange_domains(text: str) -> set[str]:
    return set(ADDRESS.findall(text)) - {"example.com", "example.org"}


@each_log
def test_the_readme_has_the_counts(log: Path) -> None:
    lines, kept = lines_of(log), conversations_of(log)
    rejected = sum(isinstance(record, Reject) for record in parsed(log, lines))
    counts = (
        len(lines),
        len(kept),
        rejected,
        len(lines) - rejected - len(kept),
        sum(map(len, kept)),
        sum(map(follow_ups, kept)),
    )
    row = f"| {log.name} | {' | '.join(map(str, counts))} |"
    assert row in (EXAMPLES / "README.md").read_text(encoding="utf-8")


def test_three_formats_are_shown() -> None:
    found = {reader.name for log in LOGS if (reader := detect([x.data for x in lines_of(log)]))}
    assert found == {"openai", "sharegpt", "wildchat"}


def test_there_is_enough_for_a_first_night() -> None:
    kept = [conversation for log in LOGS for conversation in conversations_of(log)]
    assert len(kept) >= 60
    assert sum(map(follow_ups, kept)) >= 200


def test_ids_are_unique_but_for_one_whole_line() -> None:
    lines = [line.data for log in LOGS for line in lines_of(log)]
    ids = [turns[0].conversation_id for log in LOGS for turns in conversations_of(log)]
    assert [count for count in Counter(lines).values() if count > 1] == [2]
    assert len(ids) == len(set(ids))


def test_the_planted_rejects_show_two_reasons() -> None:
    records = [record for log in LOGS for record in parsed(log, lines_of(log))]
    reasons = Counter(record.reason for record in records if isinstance(record, Reject))
    assert reasons == {ReasonCode.INVALID_JSON: 1, ReasonCode.NO_USER_TURN: 1}


@each_log
def test_addresses_are_invented(log: Path) -> None:
    assert strange_domains(b"\n".join(line.data for line in lines_of(log)).decode()) == set()


def test_a_real_domain_is_seen() -> None:
    assert strange_domains("ask a@example.com or b.c@mail.invalid.net") == {"mail.invalid.net"}


def test_the_compressed_log_is_the_same_on_every_build() -> None:
    (log,) = [log for log in LOGS if log.suffix == ".gz"]
    packed = log.read_bytes()
    assert packed[4:8] == bytes(4), "the gzip header holds a time"
    assert gzip.decompress(packed).endswith(b"}\n")
