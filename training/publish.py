"""Publishing a version: only its own files, compared before and after, and the manifest last.

A place without manifest.json holds no version, whatever else lies there: so one that was filled
half way is never taken for whole, and the next run goes on with it. Nothing is sent anywhere
unless somebody asks for it by name.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from training import registry
from training.manifest import Manifest, outward
from training.registry import MANIFEST, sha256_of
from training.targets import Target, open_target, reaching
from warehouse.errors import PolicyUnusable, SettingsError, SourceUnavailable

# Whatever else a folder holds, code and pickles first of all, stays here.
_FILES = re.compile(
    r"[\w.-]+\.safetensors|model\.safetensors\.index\.json|README\.md|chat_template\.(jinja|json)"
    r"|additional_chat_templates/[\w.-]+\.jinja|(generation_)?config\.json|tokenizer[\w.-]*\.json"
    r"|(tokenizer|sentencepiece|spiece)[\w.]*\.model|special_tokens_map\.json|added_tokens\.json"
    r"|vocab\.(json|txt)|merges\.txt"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What whoever publishes has to say aloud."""

    held: bool = False  # also a version that its gate held
    with_lineage: bool = False  # with the ids of the batch's turns
    public: bool = False  # on the Hub, for everybody


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What stands at a target now."""

    version: str
    target: str
    files: dict[str, str]  # name -> sha256; manifest.json apart
    sent: int  # of these and the manifest; the others were there
    left_out: tuple[str, ...]  # of the version's files
    turns: int
    with_lineage: bool


class _There(msgspec.Struct):
    version: str = ""
    registered_sha256: str = ""


def publish(models: Path, name: str, target: str, words: Words) -> Published:
    """Copy a version to `target`, and read back what arrived.

    Raises PolicyUnusable where there is no such version, its gate held it or its files changed;
    SettingsError where the target cannot be meant, or holds something else; MissingExtra;
    SourceUnavailable.
    """
    version = registry.resolve(models, name)
    manifest = registry.read(models, version)
    _check_gate(manifest, words)
    registry.require_whole(models, version)
    folder = registry.folder(models, version)
    files = {n: d for n, d in manifest.files.items() if _FILES.fullmatch(n)}
    registered = sha256_of(folder / MANIFEST)
    shown = outward(manifest, files=files, sha256=registered, with_lineage=words.with_lineage)
    with tempfile.TemporaryDirectory() as made, reaching(target):
        whole = Path(made) / MANIFEST
        whole.write_bytes(msgspec.json.format(msgspec.json.encode(shown)))
        sent = _fill(
            open_target(target, public=words.public),
            target,
            {n: folder / n for n in files},
            whole,
            _There(version=version, registered_sha256=registered),
        )
    return Published(
        version=version,
        target=target,
        files=files,
        sent=sent,
        left_out=tuple(sorted(manifest.files.keys() - files.keys())),
        turns=len(manifest.turn_ids),
        with_lineage=words.with_lineage,
    )


def _fill(place: Target, target: str, files: dict[str, Path], whole: Path, ours: _There) -> int:
    """Send what is missing, the manifest last; how many files that were."""
    there = place.names()
    wrong = {n for n in files if n not in there or not place.holds(n, files[n])}
    _check_place(place, target, there - files.keys(), wrong & there, ours)
    _send(place, target, {n: files[n] for n in sorted(wrong)})
    is_new = MANIFEST not in there or not place.holds(MANIFEST, whole)
    _send(place, target, {MANIFEST: whole} if is_new else {})
    return len(wrong) + is_new


def _send(place: Target, target: str, files: dict[str, Path]) -> None:
    if files:
        place.send(files)
    if lost := [n for n, path in files.items() if not place.holds(n, path)]:
        raise SourceUnavailable(
            f"{target}: {', '.join(lost)} arrived with other bytes than were sent, so there is no "
            "whole version there. Run again, or name another target."
        )


def _check_place(
    place: Target, target: str, strange: set[str], other: set[str], ours: _There
) -> None:
    if MANIFEST in strange:
        try:
            found = msgspec.json.decode(place.read(MANIFEST), type=_There)
        except msgspec.MsgspecError:
            found = _There()
        if found != ours:
            raise SettingsError(
                f"{target}: holds {found.version or 'something else'} already. A version is never "
                "written over another: name an empty target, or clear this one yourself."
            )
        strange, other = strange - {MANIFEST}, set()  # ours, and mended where it was damaged
    if strange or other:
        raise SettingsError(
            f"{target}: holds other files ({', '.join(sorted(strange | other)[:5])}). Name an "
            "empty target, or clear this one yourself."
        )


def _check_gate(manifest: Manifest, words: Words) -> None:
    gate = manifest.report["gate"]
    if not gate["promote"] and not words.held:
        raise PolicyUnusable(
            f"{manifest.version}: held by its gate ({'; '.join(gate['reasons'])}). Name a version "
            "that passed, or give --held to publish this one all the same."
        )
