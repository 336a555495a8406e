"""The known formats, by name and by looking at a file's first lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches

from ingestion.formats import (
    langfuse,
    langsmith,
    lmsys,
    openai,
    otel,
    sharegpt,
    ultrafeedback,
    utterances,
    wildchat,
    wildfeedback,
)
from ingestion.formats.reader import Reader
from warehouse.errors import SettingsError

# Lines that are looked at. A few broken ones among so many do not hide a file's format.
HEAD = 50

# Most specific first: a line is of the first format that it fits.
READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        otel.READER,
        langfuse.READER,
        langsmith.READER,
        ultrafeedback.READER,
        wildfeedback.READER,
        utterances.READER,
        lmsys.READER,
        wildchat.READER,
        sharegpt.READER,
        openai.READER,
    )
}


def named(name: str) -> Reader:
    """The reader of that name. Raises SettingsError where there is none."""
    if name in READERS:
        return READERS[name]
    near = get_close_matches(name, READERS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise SettingsError(
        f"[ingestion] format: no log format is called {name!r}{hint} "
        f"Known: auto, {', '.join(READERS)}."
    )


def detect(head: Sequence[bytes]) -> Reader | None:
    """The reader of the format that most of the lines are of; of two, the more specific one.

    None where no line is of any. The lines are those of the file, before any regrouping.
    """
    votes = Counter(_format_of(line) for line in head)
    best = max(READERS, key=lambda name: votes[name])
    return READERS[best] if votes[best] else None


def _format_of(line: bytes) -> str | None:
    return next((name for name, reader in READERS.items() if reader.fits(line)), None)
