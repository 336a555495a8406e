"""Fuzz the log formats, guided by coverage. Needs atheris, which is no dependency of Driftmine.

    python bench/fuzz_formats.py -max_total_time=300

Starts from the examples in docs/formats.md. Ends at the first record that makes a reader raise,
or that it takes something from which could not be stored.
"""

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["ingestion"]):
    from ingestion.formats import mapping
    from ingestion.formats.detect import READERS
    from ingestion.formats.mapping_options import Mapping
    from ingestion.formats.raw import RawPair, Refused
    from ingestion.logs.lines import Line

DOCS = Path(__file__).parents[1] / "docs" / "formats.md"
SHAPES = (
    Mapping(messages="log", role="from", content="body.text", model="record.session.model"),
    Mapping(user_text="log.0.body.text", assistant_text="log.1.body.text", time="log.0.at"),
)
ALL = (*READERS.values(), *map(mapping.reader, SHAPES))


def check(data: bytes) -> None:
    """The first byte says which format the rest is read as."""
    reader = ALL[data[0] % len(ALL)] if data else ALL[0]
    for line in reader.regroup(iter([Line(0, data[1:])])):
        raw = reader.read(line.data)
        if isinstance(raw, Refused):
            raw.detail.encode()
            continue
        turns = raw.prompt if isinstance(raw, RawPair) else raw.turns
        texts = [text for turn in turns for text in (turn.role, turn.content)]
        for text in (*texts, str(raw.id), str(raw.user)):
            text.encode()


def main() -> None:
    with TemporaryDirectory() as folder:
        for block in re.findall(r"^```json\n(.*?)\n```", DOCS.read_text(), re.M | re.S):
            for number in range(len(ALL)):
                for line in block.encode().splitlines():
                    path = Path(folder) / f"{number}-{hash(line)}"
                    path.write_bytes(bytes([number]) + line)
        atheris.Setup([*sys.argv, folder], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
