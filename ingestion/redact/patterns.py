"""Rules as data: rules/*.toml read and checked. A changed rule is a new id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from ingestion.redact.options import Kind
from warehouse.errors import SettingsError

RULES = Path(__file__).parent / "rules"


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a thing looks like in a text. Patterns are RE2's: no lookaround, linear in the text."""

    id: str  # name and version: "card_v1"
    kind: Kind
    pattern: str  # its first group, where it has one, is what is replaced
    check: str = "whole"  # name of a check (`checks.named`)
    context: tuple[str, ...] = ()  # words of which one has to stand near; case does not matter
    countries: tuple[str, ...] = ()  # ISO 3166: from there, no such word is needed
    unless: tuple[str, ...] = ()  # what must not stand right before; case does not matter
    refuse: tuple[str, ...] = ()  # what a candidate and what follows must not begin with
    alone: bool = False  # not part of a longer number, a word, a path or a version
    cut: bool = False  # where the whole does not check, words are cut from its ends


class RuleFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of rules. `<name>` in a pattern stands for the term of that name."""

    terms: dict[str, str] = {}
    rules: tuple[Rule, ...] = ()


def load_rules(kinds: Collection[Kind], folder: Path = RULES) -> list[Rule]:
    """The rules of `kinds` in every *.toml of `folder`, with their terms put in.

    Raises SettingsError for a file of another shape, or an id used twice.
    """
    files = []
    for path in sorted(folder.glob("*.toml")):
        try:
            files.append(msgspec.toml.decode(path.read_bytes(), type=RuleFile))
        except msgspec.MsgspecError as error:
            raise SettingsError(f"{path}: {error}. Mend the file.") from error
    terms = {name: term for file in files for name, term in file.terms.items()}
    rules = [_spelled_out(rule, terms) for file in files for rule in file.rules]
    for rule_id, count in Counter(rule.id for rule in rules).items():
        if count > 1:
            raise SettingsError(f"rule {rule_id} stands twice. A changed rule is a new id.")
    return [rule for rule in rules if rule.kind in kinds]


def _spelled_out(rule: Rule, terms: Mapping[str, str]) -> Rule:
    return msgspec.structs.replace(
        rule,
        pattern=_expand(rule.pattern, terms),
        context=tuple(_expand(pattern, terms) for pattern in rule.context),
        unless=tuple(_expand(pattern, terms) for pattern in rule.unless),
        refuse=tuple(_expand(pattern, terms) for pattern in rule.refuse),
    )


def _expand(pattern: str, terms: Mapping[str, str]) -> str:
    # Thrice: terms may be made of terms, and those of terms again.
    for _ in range(3):
        for name, term in terms.items():
            pattern = pattern.replace(f"<{name}>", f"(?:{term})")
    return pattern
