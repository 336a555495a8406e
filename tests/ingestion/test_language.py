import pytest

from ingestion.language import Identifier


@pytest.fixture(scope="module")
def identifier():
    return Identifier()


TEXTS = {
    "English": ("How do I fix this error in my code?", "en"),
    "German": ("Danke, das passt so nicht ganz.", "de"),
    "Chinese": ("这个答案不对，请再试一次", "zh"),
    "Japanese": ("これを直してください", "ja"),
    "Russian": ("Это совсем не то, что я просил", "ru"),
    "Arabic": ("هذه الإجابة غير صحيحة", "ar"),
    "over several lines": ("Bonjour,\n\npouvez-vous m'aider avec ce texte ?", "fr"),
    "numbers": ("12345 67890 2468", None),
    "nothing": ("  \n", None),
    "very long": ("Wie geht es dir heute? " * 10_000, "de"),
}


@pytest.mark.parametrize("text, language", TEXTS.values(), ids=TEXTS)
def test_identify(identifier, text, language):
    assert identifier.identify(text) == language


DIALOGUES = {
    "each its own": (
        ["How tall is the tower in Paris?", "La tour fait trois cents mètres."],
        [None, None],
        ["en", "fr"],
    ),
    "what the log says stays": (["How tall is the tower?"], ["de"], ["de"]),
    "a short one is in the language before it": (
        ["Wie hoch ist der Turm in Paris?", "300 m."],
        [None, None],
        ["de", "de"],
    ),
    "a short one at the start is in the first that is clear": (
        ["hm", "Je ne comprends pas la question."],
        [None, None],
        ["fr", "fr"],
    ),
    "short ones are heard together": (["你好，我想", "再试一次吧"], [None, None], ["zh", "zh"]),
    "nothing is clear": (["1 + 1", "2"], [None, None], [None, None]),
    "nobody speaks": ([], [], []),
}


@pytest.mark.parametrize("texts, known, found", DIALOGUES.values(), ids=DIALOGUES)
def test_identify_all(identifier, texts, known, found):
    assert identifier.identify_all(texts, known) == found
