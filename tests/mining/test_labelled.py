import json

import pytest

from mining.labelled import read_labelled, read_labels
from warehouse.errors import SettingsError, SourceUnavailable
from warehouse.records import Category, SignalKind

ROW = {
    "id": "x-t4", "user": "q", "assistant": "a", "follow_up": "no", "label": "complaint",
    "signal": "dsat", "hard": True,
}  # fmt: skip
TEXTS = {key: ROW[key] for key in ("user", "assistant", "follow_up")}
BROKEN = {
    "no JSON": ("{", "truncated"),
    "no object": ("[]", "got `array`"),
    "a field missing": (json.dumps({k: v for k, v in ROW.items() if k != "user"}), "`user`"),
    "an unknown category": (json.dumps(ROW | {"label": "anger"}), "'anger'.*refusal_pushback"),
    "label against signal": (json.dumps(ROW | {"signal": "sat"}), "complaint has the signal dsat"),
}
LABELS = {
    "both": ({}, (Category.COMPLAINT, SignalKind.DSAT)),
    "the label alone": ({"signal": ...}, (Category.COMPLAINT, SignalKind.DSAT)),
    "the signal alone": ({"label": ...}, (None, SignalKind.DSAT)),
    "annotators who differ": ({"signal": None}, (Category.COMPLAINT, None)),
    "none": ({"label": ..., "signal": ...}, (None, None)),
}
GROUPS = {
    "by its minimal set": ({"pair": "p1"}, "p1"),
    "by its minimal set and its conversation": ({"pair": "p1", "conversation": "c1"}, "c1"),
    "by its conversation": ({"conversation": "c1"}, "c1"),
    "by its id, without the turn": ({}, "x"),
}


@pytest.fixture
def file(tmp_path):
    def write(*lines: str):
        path = tmp_path / "labelled.jsonl"
        path.write_text("\n".join(lines))
        return path

    return write


def test_a_row(file):
    context = [{"role": "user", "content": "u1"}, {"role": "assistant", "content": "a1"}]
    (row,) = read_labelled(file(json.dumps(ROW | {"context": context, "language": "en"})))
    assert (row.category, row.signal) == (Category.COMPLAINT, SignalKind.DSAT)
    assert row.follow_up.earlier == ("u1",)
    assert row.follow_up.language == "en"


@pytest.mark.parametrize("fields, group", GROUPS.values(), ids=GROUPS)
def test_group(file, fields, group):
    assert read_labelled(file(json.dumps(ROW | fields)))[0].group == group


@pytest.mark.parametrize("fields, found", LABELS.values(), ids=LABELS)
def test_label_and_signal_are_optional(file, fields, found):
    kept = {key: value for key, value in (ROW | fields).items() if value is not ...}
    for read in (read_labelled, read_labels):
        (row,) = read(file(json.dumps(kept)))
        assert (row.category, row.signal) == found


def test_a_row_without_an_id_is_known_by_its_texts(file):
    asked = [{"role": "user", "content": "u1"}]
    lines = [TEXTS, TEXTS | {"language": "en"}, TEXTS | {"context": asked}, TEXTS | {"user": "r"}]
    ids = [row.id for row in read_labelled(file(*map(json.dumps, lines)))]
    assert ids[0] == ids[1] == "sha-5525f20a2b01504d"
    assert len({*ids}) == 3
    assert [row.id for row in read_labels(file(*map(json.dumps, lines)))] == ids


def test_source_and_hard_flag(file):
    plain, told = read_labelled(
        file(json.dumps(TEXTS), json.dumps(ROW | {"source": "s", "id": 7, "context": None}))
    )
    assert (plain.source, plain.hard) == (None, None)
    assert (told.source, told.hard, told.id) == ("s", True, "7")


def test_labels_need_no_texts(file):
    lines = {"id": "a", "label": "sat"}, {"id": "b", "category": "neutral", "probability": 0.1}
    first, second = read_labels(file(*map(json.dumps, lines)))
    assert (first.id, first.category) == ("a", Category.SAT)
    assert (second.category, second.signal) == (Category.NEUTRAL, SignalKind.NEUTRAL)
    with pytest.raises(SettingsError, match="line 1: .*neither an id nor the texts"):
        read_labels(file(json.dumps({"label": "sat"})))


@pytest.mark.parametrize("line, says", BROKEN.values(), ids=BROKEN)
def test_a_broken_line_is_named(file, line, says):
    with pytest.raises(SettingsError, match=f"line 2: .*{says}"):
        read_labelled(file(json.dumps(ROW), line))


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "labelled.jsonl"
    path.write_bytes(b'{"user": "\xff"}')
    with pytest.raises(SettingsError, match="line 1: .*not UTF-8"):
        read_labelled(path)


def test_blank_lines_and_a_byte_order_mark_are_passed_over(file):
    assert len(read_labelled(file("\ufeff" + json.dumps(ROW), "", json.dumps(ROW), " ", ""))) == 2


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_a_file_without_rows(file, text):
    with pytest.raises(SettingsError, match="holds no rows"):
        read_labelled(file(text))


@pytest.mark.parametrize("name", ["none.jsonl", "."], ids=["no file", "a folder"])
def test_what_cannot_be_read(tmp_path, name):
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        read_labelled(tmp_path / name)
