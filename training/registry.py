"""The model registry: immutable versions, and aliases that move.

    <models>/versions/v0001-1a2b3c4d/   a policy in Hugging Face layout, README.md, manifest.json
    <models>/aliases/champion           link to the version that the product should serve
    <models>/aliases/candidate          link to the newest version, promoted or not
    <models>/pruned/v0001-1a2b3c4d.json manifest of a version whose weights were given up
    <models>/history.jsonl              every move of the champion and every pruning, newest last

A version is filled in a hidden folder and renamed when it is whole, so what carries a version's
name is whole. Weights are safetensors; a file that would have to be unpickled is refused.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import msgspec

from training.manifest import Manifest, card
from warehouse.durable import sync_folder, temporary, write_whole
from warehouse.errors import PolicyUnusable, TrainingFailed

CHAMPION = "champion"
CANDIDATE = "candidate"
MANIFEST = "manifest.json"
PRUNED = "pruned"  # why of a version that was given up; the folder of manifests that stay
VERSION = re.compile(r"v(\d{4,})-[0-9a-f]{8}")
# A version on its way out: `training.prune` renames it so, then deletes it.
LEAVING = re.compile(rf"\.pruned\.({VERSION.pattern})")
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One move of the champion, or the pruning of a version."""

    at: dt.datetime
    version: str
    former: str | None
    why: str  # gate | operator | rollback; pruned


def versions(models: Path) -> list[str]:
    """Names of all versions, the oldest first."""
    folder = models / "versions"
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted((f.name for f in found if VERSION.fullmatch(f.name)), key=_number)


def pruned(models: Path) -> list[str]:
    """Names of the versions that were given up, the oldest first; also where one just goes."""
    leaving = map(LEAVING.fullmatch, (f.name for f in (models / "versions").glob(".pruned.*")))
    names = {match[1] for match in leaving if match}
    names |= {path.stem for path in (models / PRUNED).glob("v*.json")}
    return sorted(names.difference(versions(models)), key=_number)


def current(models: Path, alias: str) -> str | None:
    """The version that an alias names; None where it was never set."""
    try:
        return Path(os.readlink(models / "aliases" / alias)).name
    except FileNotFoundError:
        return None


def resolve(models: Path, name: str) -> str:
    """The version that `name`, a version or an alias, stands for. Raises PolicyUnusable."""
    version = current(models, name) if name in (CHAMPION, CANDIDATE) else name
    if version in pruned(models):
        raise PolicyUnusable(
            f"{version}: its weights were given up by `driftmine models prune`. What it was stays "
            f"on record (`driftmine models show {version}`); name a version that is there: "
            "`driftmine models list`."
        )
    if version is None or version not in versions(models):
        raise PolicyUnusable(
            f"{models}: no model is called {name!r}. `driftmine models list` shows those there are."
        )
    return version


def folder(models: Path, name: str) -> Path:
    """The folder of a version or an alias, ready to be loaded. Raises PolicyUnusable."""
    return models / "versions" / resolve(models, name)


def read(models: Path, name: str) -> Manifest:
    """The manifest of a version or an alias. Raises PolicyUnusable."""
    return _manifest(folder(models, name) / MANIFEST)


def recorded(models: Path, name: str) -> Manifest:
    """`read`, also of a version that was pruned. Raises PolicyUnusable."""
    if name not in pruned(models):
        return read(models, name)
    kept = models / PRUNED / f"{name}.json"
    return _manifest(kept if kept.exists() else models / "versions" / f".pruned.{name}" / MANIFEST)


def next_version(models: Path, batch_id: str) -> str:
    """The name that a version trained on that batch gets."""
    number = max(map(_number, versions(models)), default=0) + 1
    return f"v{number:04d}-{hashlib.sha256(batch_id.encode()).hexdigest()[:8]}"


@contextmanager
def staging(models: Path, batch_id: str) -> Iterator[Path]:
    """An empty hidden folder to fill, `seal` and `reveal`.

    It is removed at the end unless it was sealed: from then on the catalog may know it.
    """
    (models / "versions").mkdir(parents=True, exist_ok=True)
    staged = temporary(models / "versions" / quote(batch_id, safe=""))
    staged.mkdir()
    try:
        yield staged
    finally:
        if not (staged / MANIFEST).exists():
            shutil.rmtree(staged, ignore_errors=True)


def seal(staged: Path, manifest: Manifest) -> str:
    """Add card and manifest, with the digest of every file, and bring all of it to the disk.

    Returns the manifest's sha256: what the catalog knows the version by. Raises TrainingFailed
    where the folder holds a pickle.
    """
    pickles = sorted(path.name for path in staged.rglob("*") if path.suffix in PICKLES)
    if pickles:
        raise TrainingFailed(
            f"{manifest.version}: {', '.join(pickles)} would have to be unpickled by whoever loads "
            "it, so nothing was registered. Save weights as safetensors only."
        )
    (staged / "README.md").write_text(card(manifest), encoding="utf-8")
    whole = replace(manifest, files=_digests(staged))
    for path in staged.rglob("*"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    write_whole(staged / MANIFEST, msgspec.json.format(msgspec.json.encode(whole)))
    return sha256_of(staged / MANIFEST)


def reveal(models: Path, staged: Path, version: str) -> None:
    """Give a sealed folder its version's name, in one step."""
    os.rename(staged, models / "versions" / version)
    sync_folder(models / "versions")


def set_alias(models: Path, alias: str, version: str) -> None:
    """Point an alias at a version, in one step."""
    aliases = models / "aliases"
    aliases.mkdir(parents=True, exist_ok=True)
    link = temporary(aliases / alias)
    link.symlink_to(Path("..") / "versions" / version, target_is_directory=True)
    os.replace(link, aliases / alias)
    sync_folder(aliases)


def promote(models: Path, name: str, *, now: dt.datetime, why: str = "operator") -> str:
    """Make a version that passed its gate the champion. Returns its name.

    Raises PolicyUnusable where there is none of that name, the gate held it, or its files are not
    those that were registered.
    """
    version = resolve(models, name)
    gate = read(models, version).report["gate"]
    if not gate["promote"]:
        raise PolicyUnusable(
            f"{version}: held by its gate ({'; '.join(gate['reasons'])}). Name a version that "
            "passed, or set other limits in [training.gate] and train again."
        )
    require_whole(models, version)
    # Written first: what is on record is carried out by `settle`, come what may.
    record(models, Move(at=now, version=version, former=current(models, CHAMPION), why=why))
    set_alias(models, CHAMPION, version)
    return version


def rollback(models: Path, *, now: dt.datetime) -> str:
    """Make the former champion the champion again and return it. Raises PolicyUnusable."""
    champion = current(models, CHAMPION)
    former = next(
        (
            move.former
            for move in reversed(moves(models))
            if move.version == champion and move.former != champion and move.why != "rollback"
        ),
        None,
    )
    if former is None:
        raise PolicyUnusable(
            f"{models}: there is no champion before {champion}. Name a version: `driftmine models "
            "promote VERSION`."
        )
    return promote(models, former, now=now, why="rollback")


def history(models: Path) -> list[Move]:
    """Every move of the champion and every pruning, the oldest first."""
    try:
        lines = (models / "history.jsonl").read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [msgspec.json.decode(line, type=Move) for line in lines]


def verify(models: Path, name: str) -> list[str]:
    """What is wrong with the files of a version, one line each; nothing where all is well."""
    version, known = folder(models, name), read(models, name).files
    found = _digests(version)
    return [
        *(f"{path}: missing" for path in sorted(known.keys() - found.keys())),
        *(f"{path}: not in the manifest" for path in sorted(found.keys() - known.keys())),
        *(f"{p}: changed" for p in sorted(known.keys() & found.keys()) if known[p] != found[p]),
    ]


def require_whole(models: Path, version: str) -> None:
    """Raises PolicyUnusable where a file of a version is not what was registered."""
    if wrong := verify(models, version):
        raise PolicyUnusable(
            f"{models / 'versions' / version}: not what was registered ({'; '.join(wrong)}). Put "
            "the files back from a copy, or remove the folder and name another version."
        )


def record(models: Path, move: Move) -> None:
    """Add a line to the history."""
    lines = [msgspec.json.encode(each) for each in (*history(models), move)]
    write_whole(models / "history.jsonl", b"\n".join(lines) + b"\n")


def moves(models: Path) -> list[Move]:
    """Those of the champion, the oldest first."""
    return [move for move in history(models) if move.why != PRUNED]


def _manifest(path: Path) -> Manifest:
    return msgspec.json.decode(path.read_bytes(), type=Manifest)


def _digests(version: Path) -> dict[str, str]:
    files = sorted(path for path in version.rglob("*") if path.is_file())
    return {
        path.relative_to(version).as_posix(): sha256_of(path)
        for path in files
        if path != version / MANIFEST
    }


def sha256_of(path: Path) -> str:
    """Of a file, 64 hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _number(version: str) -> int:
    match = VERSION.fullmatch(version)
    return int(match[1]) if match else 0
