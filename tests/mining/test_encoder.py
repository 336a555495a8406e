import hashlib
import json
import shutil

import msgspec
import numpy as np
import pytest

from mining.card import CARD, Combiner, read_card
from mining.cascade import NotAsked, SecondStage
from mining.classifier import load_linear
from mining.detector import Detector, load_detector
from mining.encoder import TOKENIZER, WEIGHTS, WHOLE
from mining.fit import UNFINISHED, fit
from mining.fit_band import choose_band
from mining.fitted import EncoderChoice
from mining.heuristics import read
from mining.labelled import read_labelled
from mining.options import Asked, MiningOptions
from tests.mining.encoders import tiny_encoder
from warehouse.errors import DetectorUnusable, SettingsError
from warehouse.records import Category

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers' and PyTorch's own

KINDS = ("onnx", "transformers")
LEARNS = 3e-3  # a rate at which random weights learn something in a few steps


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """How an answer begins decides: of a long answer only the encoder reads the beginning.

    Some follow-ups say it again, so that the linear model learns something too.
    """
    path = tmp_path_factory.mktemp("data") / "labels.jsonl"
    said = ["and then what", "so be it", "what about the other one", "tell me of the next part"]
    rows = [
        {
            "id": f"row {at}",
            "user": "how does it go",
            "assistant": ("sadly no " if at % 2 else "gladly so ") * 4 + "the rest of it " * 40,
            "follow_up": said[at // 2 % 4] + (" sadly" if at % 2 else " gladly") * (at % 5 == 0),
            "label": "complaint" if at % 2 else "neutral",
            "language": "es" if at % 9 == 0 else "en",
        }
        for at in range(180)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="module")
def base(labels, tmp_path_factory):
    texts = [row.follow_up.answer for row in read_labelled(labels)]
    return tiny_encoder(tmp_path_factory.mktemp("base"), texts)


@pytest.fixture(scope="module", params=KINDS)
def cascade(request, labels, base, tmp_path_factory):
    """A detector's folder, of either kind of encoder."""
    out = tmp_path_factory.mktemp("models") / request.param
    choice = EncoderChoice(base=str(base), epochs=3, learning_rate=LEARNS, kind=request.param)
    told = []
    fit(labels, out, seed=0, encoder=choice, told=told.append)
    assert told[-1] == "fine-tuning on all rows" and len(told) == 6
    return out


def loaded(folder, asked=None):
    return load_detector(MiningOptions(detector=str(folder), encoder=asked or Asked.UNCERTAIN))


def changed(folder, copy, **fields):
    """A copy of a detector whose encoder's card says something else."""
    shutil.copytree(folder, copy)
    card = read_card(copy)
    encoder = msgspec.structs.replace(card.encoder, **fields)
    card = msgspec.structs.replace(card, encoder=encoder)
    (copy / CARD).write_bytes(msgspec.json.encode(card))
    return copy


def test_the_encoder_is_asked_in_between(cascade, labels, tmp_path):
    texts = [row.follow_up for row in read_labelled(labels)]
    alone = loaded(cascade, Asked.NEVER).detect(texts)
    low, high = np.quantile([verdict.probability for verdict in alone], [0.3, 0.7]).tolist()
    folder = changed(cascade, tmp_path / "copy", uncertain=(low, high))
    both, always = (loaded(folder, asked).detect(texts) for asked in (None, Asked.ALWAYS))
    for text, first, then, asked in zip(texts, alone, both, always, strict=True):
        inside = low <= first.probability <= high and text.language == "en"
        wanted = asked if inside else first
        assert then.probability == pytest.approx(wanted.probability, abs=1e-4)
        assert (asked == first) == (text.language != "en")
    assert both != alone and both != always


def test_a_text_means_the_same_in_any_company(cascade, labels):
    texts = [row.follow_up for row in read_labelled(labels)][:40]
    detector = loaded(cascade, Asked.ALWAYS)
    together = [verdict.probability for verdict in detector.detect(texts)]
    alone = [detector.detect([text])[0].probability for text in texts]
    assert together == pytest.approx(alone, abs=1e-4 if cascade.name == "transformers" else 0)


HARD = {
    "empty": "",
    "long": "word " * 200_000,
    "emoji": "😡" * 3_000,
    "right to left": "هذا ليس ما طلبته",
    "separators": "[SEP] [CLS] </s> " * 50,
    "lone marks": "\u200b\u200d\ufeff",
}


@pytest.mark.parametrize("text", HARD.values(), ids=HARD)
def test_any_text_is_read(cascade, follow_up, text):
    (verdict,) = loaded(cascade, Asked.ALWAYS).detect([follow_up(text, language="en")])
    assert 0 <= verdict.probability <= 1


def test_no_follow_ups(cascade):
    assert loaded(cascade).detect([]) == []


DAMAGED = {
    "missing": lambda path: path.unlink(),
    "another file": lambda path: path.write_bytes(b"{}"),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("part", ["weights", "tokenizer"])
def test_a_folder_whose_files_do_not_belong_together_is_refused(cascade, tmp_path, damage, part):
    folder = tmp_path / "copy"
    shutil.copytree(cascade, folder)
    place = folder if cascade.name == "onnx" else folder / WHOLE
    weights = WEIGHTS if cascade.name == "onnx" else "model.safetensors"
    damage(place / (weights if part == "weights" else TOKENIZER))
    with pytest.raises(DetectorUnusable, match="train it again"):
        loaded(folder)
    assert loaded(folder, Asked.NEVER).detect([]) == []


def test_bytes_that_are_no_model_are_refused(cascade, tmp_path):
    if cascade.name != "onnx":
        pytest.skip("transformers looks at safetensors by itself")
    weights = hashlib.sha256(b"no model").hexdigest()
    folder = changed(cascade, tmp_path / "copy", weights=weights)
    (folder / WEIGHTS).write_bytes(b"no model")
    with pytest.raises(DetectorUnusable, match="ONNX Runtime"):
        loaded(folder)


def test_other_labels_are_refused(base, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from mining.transformer import load_transformer

    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path)
    with pytest.raises(DetectorUnusable, match="its labels are"):
        load_transformer(tmp_path)


def test_no_encoder_where_one_was_named(labels, tmp_path):
    choice = EncoderChoice(base=str(tmp_path / "nothing"))
    with pytest.raises(SettingsError, match="no encoder"):
        fit(labels, tmp_path / "out", seed=0, encoder=choice)
    assert not (tmp_path / "out").exists()


def test_quantizing_costs_little(cascade):
    card = read_card(cascade).encoder
    if cascade.name == "onnx":
        assert card.loss["mean_change"] < 0.1  # random weights spread far
        assert set(card.loss) == {"roc_auc", "roc_auc_quantized", "mean_change"}
    else:
        assert card.loss == {}


def test_the_band_is_where_the_encoder_helps():
    first = np.linspace(0, 1, 401)
    truth = np.arange(401) % 2 == 0
    helps = (first > 0.4) & (first < 0.6)
    both = np.where(helps, np.where(truth, 0.95, 0.05), first)
    low, high = choose_band(first, both, truth, most=0.25)
    assert 0.35 <= low <= 0.4 and 0.6 <= high <= 0.65
    assert choose_band(first, first, truth, most=0.0) == (0.5, 0.5)


class _Sure:
    """An encoder that calls everything a complaint."""

    def predict(self, texts):
        found = np.full((len(texts), 7), 1e-4, dtype=np.float32)
        found[:, list(Category).index(Category.COMPLAINT)] = 1 - 6e-4
        return found


LANGUAGES = {
    "English by the log": ("not it", "en", True),
    "Spanish by the log": ("not it", "es", False),
    "no language, English letters": ("that's not it", None, True),
    "no language, accents": ("así no, quería más números", None, False),
    "no language, Chinese": ("不对", None, False),
}


@pytest.mark.parametrize("text, language, asked", LANGUAGES.values(), ids=LANGUAGES)
def test_it_is_asked_about_languages_that_it_knows(
    cascade, follow_up, lexicon, text, language, asked
):
    card = msgspec.structs.replace(
        read_card(cascade).encoder,
        uncertain=(0.0, 1.0),
        combiner=Combiner(
            bias=0.0, classifier=0.0, evidence_for=0.0, evidence_against=0.0, encoder=1.0
        ),
    )
    stage = SecondStage(_Sure(), card, always=False)
    readings = [read(follow_up(text, language=language), lexicon)]
    classes, p = np.full((1, 7), 1 / 7, dtype=np.float32), np.array([0.5])
    stage.revise(readings, classes, p)
    assert (p[0] > 0.9) == asked


NOT_ASKED = {
    "in between": ((0.0, 1.0), ("en",), Asked.UNCERTAIN, None),
    "certain": ((0.0, 0.0), ("en",), Asked.UNCERTAIN, NotAsked.CERTAIN),
    "certain, and always asked": ((0.0, 0.0), ("en",), Asked.ALWAYS, None),
    "another language": ((0.0, 1.0), ("de",), Asked.UNCERTAIN, NotAsked.LANGUAGE),
    "never": ((0.0, 1.0), ("en",), Asked.NEVER, NotAsked.SETTING),
}


@pytest.mark.parametrize("band, languages, asked, why", NOT_ASKED.values(), ids=NOT_ASKED)
def test_why_the_encoder_is_not_asked(cascade, follow_up, lexicon, band, languages, asked, why):
    card = read_card(cascade)
    own = msgspec.structs.replace(card.encoder, uncertain=band, languages=languages)
    second = SecondStage(_Sure(), own, always=asked is Asked.ALWAYS)
    detector = Detector(
        card, lexicon, load_linear(cascade, card), card.thresholds,
        None if asked is Asked.NEVER else second,
    )  # fmt: skip
    text = follow_up("not it", language="en")
    stages = detector.explain(text)
    assert stages.not_asked == why
    assert (stages.encoder is None) == (why is not None)
    assert stages.verdict == detector.detect([text])[0]


def test_a_training_that_was_interrupted_goes_on(labels, base, tmp_path):
    out = tmp_path / "out"
    choice = EncoderChoice(base=str(base), epochs=3, learning_rate=LEARNS, kind="transformers")

    def stop(what):
        if what == "fine-tuning without fold 3 of 5":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(labels, out, seed=0, encoder=choice, told=stop)
    kept = {path: path.stat().st_mtime_ns for path in (out / UNFINISHED).iterdir()}
    assert len(kept) == 2 and not (out / CARD).exists()
    seen = []
    card = fit(
        labels, out, seed=0, encoder=choice,
        told=lambda _: seen.append({path: path.stat().st_mtime_ns for path in kept}),
    )  # fmt: skip
    assert all(times == kept for times in seen) and len(seen) == 6
    assert read_card(out) == card and not (out / UNFINISHED).exists()
