import shutil
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.card import CARD, Card, read_card
from mining.cascade import NotAsked
from mining.classifier import WEIGHTS
from mining.conversations import FollowUp
from mining.detector import MODELS, card_of, load_detector, thresholds_of
from mining.encoder import TOKENIZER
from mining.encoder import WEIGHTS as ONNX
from mining.options import Asked, MiningOptions
from warehouse.errors import DetectorUnusable
from warehouse.records import SignalKind

CODE = "Here you go:\n```python\nprint(total / count)\n```"
CAKE = "give me a chocolate cake recipe without eggs"
TRACEBACK = (
    'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n'
    "NameError: name 'total' is not defined"
)
DSAT = {
    "rejects": ("That's not what I asked", {}),
    "gives the right thing": ("No, that's wrong, it's Canberra", {}),
    "bare no": ("no", {}),
    "bare question marks": ("???", {}),
    "doubts": ("are you sure?", {}),
    "asks again": (CAKE + "!!", {"user": CAKE, "answer": "Beat two eggs with the sugar."}),
    "asks in other words": (
        "good vegan restaurants in Berlin, what are they?",
        {"user": "What are good vegan restaurants in Berlin?", "answer": "Berlin has museums."},
    ),
    "a memory miss": ("I already told you I'm allergic to nuts", {"answer": "Almond porridge."}),
    "shorter": ("shorter please", {"user": "Write a bio.", "answer": "I am a seasoned leader."}),
    "an error of the given code": (TRACEBACK, {"user": "average a list", "answer": CODE}),
    "thanks anyway": ("ok thanks anyway", {"answer": "I could not find any order."}),
    "objects to a refusal": (
        "it's my own shed, just tell me",
        {"answer": "I'm sorry, but I can't help with that request."},
    ),
    "Chinese": ("不对，我要的是秋天", {"user": "写一首关于秋天的诗", "answer": "春天来了。"}),
}
NOT_DSAT = {
    "complaint words in a task": ("Translate: this is useless", {}),
    "complaint words in a quotation": ('how would you say "that is wrong" in French?', {}),
    "a character shouts": ('Now the guard shouts "No! Not what I asked for, idiot!"', {}),
    "what's wrong with my code": (
        "What's wrong with my code: for i in range(3) print(i)",
        {
            "user": "fix my loop",
            "answer": "```python\nfor i in range(3): print(i)\n```\nIt prints 0, 1 and 2.",
        },
    ),
    "no inside prose": (
        "is there no night train at all in winter?",
        {"user": "Which trains go to Bergen?", "answer": "Two a day leave from Oslo."},
    ),
    "a satisfied continuation": (
        "go deeper",
        {"user": "Explain how vaccines work.", "answer": "They train the immune system."},
    ),
    "an answer to a question": ("no", {"answer": "Will you have luggage with you?"}),
    "a long pasted document": (
        "Dear all, " + "the product was called useless and wrong by one guest. " * 30,
        {"user": "Summarise what I paste.", "answer": "Paste it, I am ready."},
    ),
    "thanks": ("perfect, thanks!", {}),
    "great, and the next": ("Great, now how do I push it?", {"answer": "git reset --soft"}),
    "ok": ("ok", {}),
}


@pytest.mark.parametrize("text, fields", DSAT.values(), ids=DSAT)
def test_dsat(detector, follow_up, text, fields):
    (verdict,) = detector.detect([follow_up(text, **fields)])
    assert verdict.signal is SignalKind.DSAT


@pytest.mark.parametrize("text, fields", NOT_DSAT.values(), ids=NOT_DSAT)
def test_not_dsat(detector, follow_up, text, fields):
    (verdict,) = detector.detect([follow_up(text, **fields)])
    assert verdict.signal is not SignalKind.DSAT


# Known misses: not harvested for training, though reported.
UNSURE = {
    "keep going": ("keep going", {"user": "Tell me a story.", "answer": "Once a fox..."}),
    "a constraint, as asked for": (
        "no nuts please, my sister is allergic",
        {"user": "Plan a dinner.", "answer": "Does anybody have allergies?"},
    ),
}


@pytest.mark.parametrize("text, fields", UNSURE.values(), ids=UNSURE)
def test_not_sure_enough_to_train_on(detector, follow_up, text, fields):
    (verdict,) = detector.detect([follow_up(text, **fields)])
    assert verdict.probability < detector.thresholds.trainable


ODD = {
    "empty": "",
    "white space": " \n\t",
    "emoji": "😀🙄👍🏽👨‍👩‍👧",
    "mixed scripts": "no не то 不对 لا nein",
    "control characters": "\x00\x01\u2028\u200b",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_texts_get_a_verdict(detector, text):
    (verdict,) = detector.detect([FollowUp(user=text, answer=text, follow_up=text)])
    assert 0 <= verdict.probability <= 1


def test_a_megabyte_costs_little(detector):
    long = "no, that's wrong? " * 60_000
    start = time.process_time()
    detector.detect([FollowUp(user=long, answer=long, follow_up=long, earlier=(long,) * 50)] * 5)
    assert time.process_time() - start < 1


def test_no_follow_ups(detector):
    assert detector.detect([]) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=5))
def test_a_verdict_does_not_depend_on_its_batch(detector, texts):
    batch = [FollowUp(user="q", answer="a", follow_up=text) for text in texts]
    together = [verdict.probability for verdict in detector.detect(batch)]
    alone = [detector.detect([follow_up])[0].probability for follow_up in batch]
    assert together == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("text", ["No, that's wrong", "are you sure?", "perfect, thanks!", ""])
def test_what_is_explained_is_what_is_detected(detector, follow_up, text):
    asked = follow_up(text, thumb=-1)
    stages = detector.explain(asked)
    assert stages.verdict == detector.detect([asked])[0]
    assert tuple(rule.evidence for rule in stages.rules) == stages.verdict.evidence
    assert stages.rules[-1].category is None, "the thumb"
    assert (stages.encoder is None) == (stages.not_asked is not None)
    if stages.not_asked:
        assert stages.not_asked is NotAsked.CERTAIN
        assert stages.first == stages.verdict.probability


def test_the_encoder_may_be_left_out_or_always_asked(follow_up):
    asked = follow_up("No, that's wrong", language="en")
    never = load_detector(MiningOptions(encoder=Asked.NEVER)).explain(asked)
    assert (never.encoder, never.not_asked) == (None, NotAsked.SETTING)
    always = load_detector(MiningOptions(encoder=Asked.ALWAYS)).explain(asked)
    assert always.encoder is not None and always.not_asked is None
    assert always.first == never.first == never.verdict.probability != always.verdict.probability


SETTINGS = {Asked.NEVER: "+encoder.never", Asked.UNCERTAIN: "", Asked.ALWAYS: "+encoder.always"}


@pytest.mark.parametrize("asked, suffix", SETTINGS.items(), ids=SETTINGS)
def test_an_encoder_that_is_asked_otherwise_makes_another_version(asked, suffix):
    own = read_card(MODELS / "default").version
    options = MiningOptions(encoder=asked)
    assert card_of(options).version == own + suffix
    assert load_detector(options).version == own + suffix


@pytest.mark.parametrize("asked", Asked)
def test_without_an_encoder_how_it_is_asked_makes_none(copied, asked):
    changed(copied, encoder=None)
    options = MiningOptions(detector=str(copied), encoder=asked)
    assert card_of(options).version == read_card(copied).version


def test_options_may_move_the_thresholds():
    card = read_card(MODELS / "default")
    moved = thresholds_of(card, MiningOptions(threshold=0.5))
    assert (moved.report, moved.trainable) == (0.5, card.thresholds.trainable)


@pytest.fixture
def copied(tmp_path) -> Path:
    return Path(shutil.copytree(MODELS / "default", tmp_path / "mine"))


def changed(folder: Path, **fields: object) -> None:
    card: Card = msgspec.structs.replace(read_card(folder), **fields)
    (folder / CARD).write_bytes(msgspec.json.encode(card))


def test_a_folder_anywhere_is_a_detector(copied, follow_up):
    mine = load_detector(MiningOptions(detector=str(copied)))
    assert len(mine.detect([follow_up("no")])) == 1


BROKEN = {
    "no folder": (shutil.rmtree, "no card of a detector"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "no readable weights"),
    "weights cut short": (lambda f: (f / WEIGHTS).write_bytes(b"\x10"), "no readable weights"),
    "another training's card": (lambda f: changed(f, weights="0" * 64), "not the weights"),
    "other rules": (lambda f: changed(f, lexicon="0"), "other rules"),
    "labels in another order": (
        lambda f: changed(f, labels=read_card(f).labels[::-1]),
        "other categories",
    ),
    "no card": (lambda f: (f / CARD).write_text("{}"), "no card of a detector"),
}


@pytest.mark.parametrize("damage, message", BROKEN.values(), ids=BROKEN)
def test_a_broken_detector_is_refused(copied, damage, message):
    damage(copied)
    with pytest.raises(DetectorUnusable, match=message) as error:
        load_detector(MiningOptions(detector=str(copied)))
    assert error.value.exit_code == 2


def test_the_shipped_detector_is_small_and_holds_no_pickle():
    files = {path.name for path in (MODELS / "default").iterdir()}
    assert files == {CARD, WEIGHTS, ONNX, TOKENIZER}
    assert (MODELS / "default" / ONNX).stat().st_size < 25 * 2**20
    assert (MODELS / "default" / WEIGHTS).stat().st_size < 5 * 2**20
