"""Rules as data: lexicon/*.toml read, checked and compiled.

A rule names what follow-ups of one category say, where in the text it counts, and how much it
weighs. A changed rule is a new version under a new id; weights say where they come from.

One RE2 set finds in one pass which rules can match at all; spans are looked for only where a rule
has hit. Phrase rules are matched token by token elsewhere (`mining.phrases`); this module only
lets the texts through that hold one. Texts and patterns are folded alike (`mining.folding`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import re2

from mining.automata import Automaton, compiled, either
from mining.constraints import Constraints
from mining.folding import Place, fold, fold_letters
from mining.quotation import OPENING_CHARS, OwnWords
from mining.rulefile import HEAD_CHARS, LexiconFile, Rule, Scope, Sign
from mining.scripts import Script, scripts_in
from warehouse.errors import SettingsError
from warehouse.records import Evidence

LEXICON = Path(__file__).parent / "lexicon"

_LATIN_LETTER = re.compile("[A-Za-z]")  # folded, all of them are

# RE2 knows ASCII words only: in a file for another script these stand for the three. The boundary
# takes the character beside the word with it. Classes like \pL would make the automaton huge.
_LETTER = (
    r"0-9A-Za-z_\x{400}-\x{52f}\x{620}-\x{6ff}\x{900}-\x{963}\x{966}-\x{97f}"
    + r"\x{3040}-\x{30ff}\x{3400}-\x{9fff}"
)
_UNICODE = {r"\b": f"(?:^|$|[^{_LETTER}])", r"\w": f"[{_LETTER}]", r"\W": f"[^{_LETTER}]"}


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that matched, and where: [start, end) in characters of the text."""

    rule: Rule
    start: int
    end: int


class PhraseFinder(Protocol):
    """Finds the phrases of one language's rules."""

    def find(self, rule: Rule, text: str) -> tuple[int, int] | None:
        """Span of the first phrase of `rule` in `text`, token by token."""


class PhraseLoader(Protocol):
    """Makes the finder of a language; see `mining.phrases.load`."""

    def __call__(self, language: str, rules: Sequence[Rule], /) -> PhraseFinder:
        """`language`: ISO 639-1."""


class _RuleSet:
    """Rules compiled together: one pass says which may hit."""

    def __init__(self, rules: Sequence[_Entry], *, chars: int | None = None) -> None:
        self._rules = [(entry.rule, entry.phrases) for entry in rules]
        self._patterns: list[Any] = []
        for entry in rules:
            try:
                self._patterns.append(compiled(entry.pattern))
            except re2.error as error:
                raise SettingsError(
                    f"rule {entry.rule.id}: RE2 cannot read its pattern ({error}). RE2 has no "
                    "lookaround and no back-references; rewrite the pattern."
                ) from error
        self._automaton = Automaton([entry.pattern for entry in rules])
        self._chars = chars  # of a text, beyond which no rule counts

    def matches(self, text: str) -> bool:
        """Whether any rule hits anywhere."""
        return bool(self._automaton.matches(text))

    def find(self, text: str) -> Iterator[Hit]:
        """The first hit of every rule that has one inside its scope."""
        for at in sorted(self._automaton.matches(text[: self._chars])):
            rule, phrases = self._rules[at]
            field = rule.field(text)
            if phrases is None:
                span = _trimmed(self._patterns[at].search(field), field)
            else:
                span = phrases.find(rule, field)
            if span:
                yield Hit(rule, *span)


class Lexicon:
    """All rules, compiled."""

    def __init__(self, files: Sequence[LexiconFile], digest: str, load: PhraseLoader) -> None:
        self.digest = digest
        self.signs = {sign.id: sign for file in files for sign in file.signs}
        self.evidence = {
            sign.id: Evidence(rule=sign.id, start=0, end=0, weight=sign.weight)
            for sign in self.signs.values()
        }
        self.rules = {rule.id: rule for file in files for rule in (*file.rules, *file.refusals)}
        self.constraints = Constraints([file.vocabulary for file in files])
        latin = [f for f in files if f.scripts == {Script.LATIN}]
        english = [f for f in latin if f.language == "en"]
        heads = [english, [f for f in latin if f.language != "en"]]
        # Apart by language, since the automaton of many rules is built as texts need it: one of
        # all takes 45 us a text until it has seen some thousands, and these take 25.
        self._latin = [
            *(_RuleSet(_entries(part, load, Scope.HEAD), chars=HEAD_CHARS) for part in heads),
            _RuleSet(_entries(latin, load, Scope.EDGES)),
        ]
        self._others = [
            (file.scripts, _RuleSet(_entries([file], load, scope), chars=chars))
            for file in files
            if file.scripts != {Script.LATIN} and file.rules
            for scope, chars in ((Scope.HEAD, HEAD_CHARS), (Scope.EDGES, None))
        ]
        self._refusals = _RuleSet(
            [_Entry(r, None, either(_patterns(r, f))) for f in files for r in f.refusals]
        )

    def find(self, words: OwnWords) -> tuple[Hit, ...]:
        """Hits in a follow-up, with spans in the whole of it; at most one a rule."""
        folded, place = fold(words.text)
        latin = self._latin if folded.isascii() or _LATIN_LETTER.search(folded) else ()
        hits = [hit for rules in latin for hit in rules.find(folded)]
        if not words.text.isascii():
            written = scripts_in(words.text)
            for scripts, rules in self._others:
                if not scripts.isdisjoint(written) or not scripts:
                    hits += rules.find(folded)
        return tuple(found for hit in hits if (found := _found(hit, place, words)))

    def refuses(self, answer: str) -> bool:
        """Whether an answer declines what was asked, by its beginning."""
        # Models leave out no accents, so this is spared: it is looked for in every answer.
        opening = answer[:OPENING_CHARS].replace("\u2019", "'")
        return self._refusals.matches(opening)


def load_lexicon(load: PhraseLoader, folder: Path = LEXICON) -> Lexicon:
    """Read every *.toml of `folder`.

    Raises SettingsError for a file of another shape, an id used twice, a rule without or with
    both of patterns and phrases, or a pattern that RE2 refuses.
    """
    files, digest = [], hashlib.blake2b(digest_size=8)
    for path in sorted(folder.glob("*.toml")):
        content = path.read_bytes()
        digest.update(path.name.encode() + b"\0" + content)
        try:
            files.append(msgspec.toml.decode(content, type=LexiconFile))
        except msgspec.MsgspecError as error:
            raise SettingsError(f"{path}: {error}. Mend the file.") from error
    _check(files)
    return Lexicon(files, digest.hexdigest(), load)


def _check(files: Iterable[LexiconFile]) -> None:
    seen: set[str] = set()
    for file in files:
        entries: tuple[Rule | Sign, ...] = (*file.rules, *file.refusals, *file.signs)
        for entry in entries:
            if entry.id in seen:
                raise SettingsError(f"rule {entry.id} stands twice. A changed rule is a new id.")
            if not re2.fullmatch(r"[a-z0-9_]+_v[1-9][0-9]*", entry.id):
                raise SettingsError(f"rule {entry.id}: name it like explicit_complaint_v2.")
            if isinstance(entry, Rule) and bool(entry.patterns) == bool(entry.phrases):
                raise SettingsError(f"rule {entry.id} needs patterns or phrases, and not both.")
            seen.add(entry.id)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A rule, ready to be put into a set."""

    rule: Rule
    phrases: PhraseFinder | None
    pattern: str


def _entries(files: Iterable[LexiconFile], load: PhraseLoader, scope: Scope) -> list[_Entry]:
    """Rules of both edges, or else of the head, in which short texts lie as well."""
    entries: list[_Entry] = []
    for file in files:
        rules = [r for r in file.rules if (r.scope is Scope.EDGES) is (scope is Scope.EDGES)]
        phrase_rules = [rule for rule in rules if rule.phrases]
        finder = load(file.language, phrase_rules) if phrase_rules else None
        entries += [
            _Entry(
                rule,
                finder if rule.phrases else None,
                either(map(fold_letters, _patterns(rule, file))),
            )
            for rule in rules
        ]
    return entries


def _trimmed(match: Any, field: str) -> tuple[int, int] | None:
    """The match without the spaces that its boundaries took."""
    if match is None:
        return None
    start, end = match.span()
    said = field[start:end]
    return start + len(said) - len(said.lstrip()), end - len(said) + len(said.rstrip())


def _found(hit: Hit, place: Place, words: OwnWords) -> Hit | None:
    span = words.place(*place(hit.start, hit.end))
    return Hit(hit.rule, *span) if span else None


def _patterns(rule: Rule, file: LexiconFile) -> Iterator[str]:
    for pattern in rule.patterns:
        yield pattern if file.scripts == {Script.LATIN} else _unicode(pattern)
    yield from map(_let_through, rule.phrases)


def _unicode(pattern: str) -> str:
    for ascii_only, every_script in _UNICODE.items():
        pattern = pattern.replace(ascii_only, every_script)
    return pattern


def _let_through(phrase: str) -> str:
    """A pattern of all texts that may hold a phrase: only they are split into tokens."""
    words = r"\s+".join(re2.escape(word).replace("'", "'?") for word in phrase.split())
    return rf"\b{words}\b" if phrase.isascii() else words
