"""The Dockerfile, read and not built: it fits the project, and no image holds the other's half."""

import json
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.metadata import requires
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
IGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

# Target -> what the image must not hold.
FORBIDDEN = {
    "etl": {"accelerate", "datasets", "peft", "torch", "transformers", "trl"},
    "train": {"apache-beam", "spacy"},
}


class Instruction(NamedTuple):
    stage: str
    name: str
    value: str


def parse(dockerfile: str) -> tuple[dict[str, str], list[Instruction]]:
    """Stages with what each starts from, and the instructions, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE)
    stages: dict[str, str] = {}
    instructions = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        name, _, value = line.partition(" ")
        if name == "FROM":
            image, _, stage = value.partition(" AS ")
            stages[stage] = image
        elif name:
            instructions.append(Instruction(stage, name, value))
    return stages, instructions


STAGES, INSTRUCTIONS = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def of_target(target: str) -> Iterator[Instruction]:
    """Everything that makes the target's image, in order."""
    if target in STAGES:
        yield from of_target(STAGES[target])
    yield from (found for found in INSTRUCTIONS if found.stage == target)


def values(target: str, name: str) -> list[str]:
    return [found.value for found in of_target(target) if found.name == name]


def copied(target: str) -> set[str]:
    return {source for value in values(target, "COPY") for source in value.split()[:-1]}


def ignored(path: str, patterns: list[str]) -> bool:
    """What .dockerignore says of a path: the last pattern that fits it or a folder above it."""
    verdict = False
    for line in patterns:
        pattern = line.removeprefix("!").removeprefix("**/")
        anywhere = "**/" in line
        above = [PurePosixPath(path), *PurePosixPath(path).parents][:-1]
        names = [folder.name if anywhere else str(folder) for folder in above]
        if line and not line.startswith("#") and any(fnmatch(name, pattern) for name in names):
            verdict = not line.startswith("!")
    return verdict


def closure(extra: str) -> set[str]:
    """Everything that `driftmine[extra]` brings, by the metadata of what is installed here."""
    found: set[str] = set()
    visited: set[tuple[str, str]] = set()
    waiting = [("driftmine", ""), ("driftmine", extra)]
    while waiting:
        project, wanted = waiting.pop()
        if (project, wanted) in visited:
            continue
        visited.add((project, wanted))
        for needed in map(Requirement, requires(project) or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": wanted}):
                name = canonicalize_name(needed.name)
                found.add(name)
                waiting += [(name, option) for option in ("", *needed.extras)]
    return found


def test_the_two_targets_share_a_base() -> None:
    assert {STAGES["etl"], STAGES["train"]} == {"base"}
    assert STAGES["base"] == "python:3.11-slim"


@pytest.mark.parametrize(
    "target, extras",
    {
        "etl": ["etl", "cloud", "judge", "postgres"],
        "train": ["train", "cloud", "judge", "postgres"],
    }.items(),
)
def test_a_target_installs_its_extras_under_the_constraints(target: str, extras: list) -> None:
    (install,) = [run for run in values(target, "RUN") if "pip install" in run]
    assert install.endswith(f"pip install --constraint constraints.txt '.[{','.join(extras)}]'")
    assert set(extras) <= PROJECT["project"]["optional-dependencies"].keys()
    assert "PIP_NO_CACHE_DIR=1" in " ".join(values(target, "ENV"))


@pytest.mark.parametrize("target", FORBIDDEN)
def test_an_extra_brings_nothing_of_the_other_half(target: str) -> None:
    assert closure(target) & FORBIDDEN[target] == set()


def test_the_closure_is_walked_to_its_end() -> None:
    assert {"apache-beam", "typer", "grpcio"} <= closure("etl")  # direct, of the base, deep
    assert {"torch", "typer", "tokenizers"} <= closure("train")


@pytest.mark.parametrize("target", FORBIDDEN)
def test_everything_copied_is_there_and_not_ignored(target: str) -> None:
    sources = copied(target)
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if ignored(source, IGNORE)] == []


@pytest.mark.parametrize("target", FORBIDDEN)
def test_everything_that_the_build_reads_is_copied(target: str) -> None:
    packages = {package.split(".")[0] for package in PROJECT["tool"]["setuptools"]["packages"]}
    files = {"pyproject.toml", "constraints.txt", PROJECT["project"]["readme"]}
    assert packages | files == copied(target)


@pytest.mark.parametrize(
    "path, expected",
    {
        "a test": ("tests/conftest.py", True),
        "the environment": (".venv/bin/python", True),
        "the history": (".git/HEAD", True),
        "compiled code": ("warehouse/__pycache__/records.cpython-311.pyc", True),
        "a rule file": ("mining/lexicon/en.toml", False),
        "the report's page": ("driftmine/report/page.html", False),
    }.values(),
)
def test_what_is_ignored(path: str, expected: bool) -> None:
    assert ignored(path, IGNORE) is expected


@pytest.mark.parametrize("target", FORBIDDEN)
def test_the_image_starts_the_program(target: str) -> None:
    (entry,) = values(target, "ENTRYPOINT")
    assert set(json.loads(entry)) == set(PROJECT["project"]["scripts"])
    assert values(target, "VOLUME") == ["/data"]
    assert "DRIFTMINE_HOME=/data" in " ".join(values(target, "ENV"))
    assert not values(target, "HEALTHCHECK"), "a batch job has no health to ask for"


@pytest.mark.parametrize("target", FORBIDDEN)
def test_the_image_does_not_run_as_root(target: str) -> None:
    last = [found for found in of_target(target) if found.name == "USER"][-1]
    assert last.value == "driftmine"
    assert any(
        f"useradd --uid 10001 --create-home {last.value}" in x for x in values(target, "RUN")
    )
    assert list(of_target(target))[-1] == last, "nothing is installed after root is given up"


def test_nothing_is_fetched_past_the_package_manager() -> None:
    assert [found for found in INSTRUCTIONS if found.name == "ADD"] == []
    assert not [found for found in INSTRUCTIONS if re.search(r"\b(curl|wget)\b", found.value)]


def test_the_default_torch_is_the_constraints() -> None:
    (default,) = [value for value in values("train", "ARG") if value.startswith("TORCH=")]
    assert default.removeprefix("TORCH=") in PINS
