"""The cases that redaction is measured on are what their README says."""

import ipaddress
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import phonenumbers
import pytest
from stdnum import iban, luhn
from stdnum.be import nn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cl import rut
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.se import personnummer
from stdnum.tr import tckimlik
from stdnum.us import ssn

FOLDER = Path(__file__).parents[2] / "bench" / "redaction"
README = (FOLDER / "README.md").read_text()
CASES = [json.loads(line) for line in (FOLDER / "cases.jsonl").read_text().splitlines()]
POSITIVES = [case for case in CASES if case["kind"]]
LOOK_ALIKES = [case for case in CASES if not case["kind"]]
FIELDS = {"id": str, "class": str, "text": str, "spans": list, "language": str}
SHARE = 0.1  # of a kind's items, by which the halves may differ

# By the first word of the class of a case.
NATIONAL_IDS = {
    "aadhaar": aadhaar, "ahv": ahv, "bsn": bsn, "codice": codicefiscale, "cpf": cpf, "cpr": cpr,
    "curp": curp, "dni": dni, "fodselsnummer": fodselsnummer, "hetu": hetu, "idnr": idnr,
    "nhs": nhs, "nie": nie, "nir": nir, "personnummer": personnummer, "pesel": pesel,
    "resident": ric, "rijksregister": nn, "rrn": rrn, "rut": rut, "sin": sin, "ssn": ssn,
    "tckn": tckimlik,
}  # fmt: skip
NINO = re.compile(r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]")


def email(text, case):
    written = re.sub(r" [(\[]at[)\]] ", "@", unquote(text))
    return re.fullmatch(r"[\w.+'-]+@[\w-]+(\.[\w-]+)+", re.sub(r" [(\[]dot[)\]] ", ".", written))


def phone(text, case):
    return phonenumbers.is_valid_number(phonenumbers.parse(text, case["country"] or "US"))


def card(text, case):
    return luhn.is_valid(re.sub(r"[ .-]", "", text))


def ip(text, case):
    return ipaddress.ip_address(text.replace("[.]", ".")).is_global


def national_id(text, case):
    family = case["class"].split("_")[0]
    if family == "nino":
        return NINO.fullmatch(text.replace(" ", "").upper())
    return NATIONAL_IDS[family].is_valid(re.sub("[ .]", "", text))


VALID = {
    "EMAIL": email,
    "PHONE": phone,
    "CARD": card,
    "IBAN": lambda text, case: iban.is_valid(text),
    "IP": ip,
    "NATIONAL_ID": national_id,
    "SECRET": lambda text, case: len(text) >= 8,
    "ADDRESS": lambda text, case: re.search(r"\d", text),
}


def spans(case):
    return [(start, end, kind) for start, end, kind in case["spans"]]


def halves(counted):
    """Counts of the development half and of the held-out half."""
    even, odd = Counter(), Counter()
    for case in CASES:
        (odd if int(case["id"][1:]) % 2 else even).update(counted(case))
    return even, odd


def numbers(text, shortest, longest):
    """Runs of digits, as cards group them, without what groups them."""
    found = re.findall(r"(?<![\w.])\d(?:[ -]?\d)+(?!\w)", text)
    digits = (re.sub(r"\D", "", run) for run in found)
    return [run for run in digits if shortest <= len(run) <= longest]


def test_ids_are_the_numbers_from_one():
    assert [case["id"] for case in CASES] == [f"r{n:04d}" for n in range(1, len(CASES) + 1)]


def test_every_case_has_every_field_of_its_type():
    for case in CASES:
        assert case.keys() == FIELDS.keys() | {"kind", "country"}, case["id"]
        assert all(type(case[name]) is kind for name, kind in FIELDS.items()), case["id"]
        assert re.fullmatch("[a-z]{2}", case["language"]), case["id"]
        assert case["country"] is None or re.fullmatch("[A-Z]{2}", case["country"]), case["id"]


def test_no_text_is_there_twice():
    assert len({case["text"] for case in CASES}) == len(CASES)


def test_a_positive_has_a_span_of_its_kind_and_a_look_alike_none():
    for case in CASES:
        kinds = {kind for _, _, kind in spans(case)}
        assert kinds <= VALID.keys(), case["id"]
        assert case["kind"] in kinds if case["kind"] else not kinds, case["id"]


def test_spans_lie_in_the_text_one_after_the_other():
    for case in CASES:
        at = 0
        for start, end, _ in spans(case):
            assert at <= start < end <= len(case["text"]), case["id"]
            item = case["text"][start:end]
            assert item == item.strip(), case["id"]
            at = end


def test_what_is_marked_once_is_marked_wherever_it_stands():
    for case in POSITIVES:
        marked = Counter(case["text"][start:end] for start, end, _ in spans(case))
        assert all(case["text"].count(item) == n for item, n in marked.items()), case["id"]


@pytest.mark.parametrize("kind", VALID)
def test_items_are_valid_by_the_rules_of_their_kind(kind):
    for case in POSITIVES:
        for start, end, of in spans(case):
            item = unicodedata.normalize("NFKC", case["text"][start:end])
            assert of != kind or VALID[kind](item, case), case["id"]


def test_numbers_like_cards_fail_luhn():
    for case in LOOK_ALIKES:
        if case["class"] == "card_bad_luhn":
            assert not any(map(luhn.is_valid, numbers(case["text"], 13, 19))), case["id"]


def test_strings_like_ibans_fail_mod_97():
    for case in LOOK_ALIKES:
        for found in re.findall(r"\b[A-Z]{2}\d\d(?: ?[A-Z\d]+)+", case["text"]):
            assert not iban.is_valid(found), case["id"]


def test_counts_are_what_the_readme_says():
    kinds = Counter(case["kind"] for case in POSITIVES)
    even, odd = halves(lambda case: [kind for _, _, kind in spans(case)])
    rows = re.findall(r"^\| ([A-Z_]+) \| (\d+) \| (\d+) \| (\d+) \|$", README, re.M)
    said = {kind: tuple(map(int, counts)) for kind, *counts in rows}
    assert said == {kind: (kinds[kind], even[kind], odd[kind]) for kind in VALID}
    classes = re.findall(r"^\| `(\w+)` \| (\d+) \|", README, re.M)
    assert Counter({name: int(n) for name, n in classes}) == Counter(
        case["class"] for case in LOOK_ALIKES
    )
    heading = f"{len(CASES)} chat messages, {len(POSITIVES)}\nwith personal items and"
    assert f"{heading} {len(LOOK_ALIKES)} look-alikes" in README


def test_there_are_enough_of_both_in_enough_languages():
    assert len(POSITIVES) >= 300
    assert len(LOOK_ALIKES) >= 300
    assert min(Counter(case["class"] for case in LOOK_ALIKES).values()) >= 25
    languages = {case["language"] for case in POSITIVES}
    assert len(languages) >= 12
    assert f"in {len(languages)} languages" in README


@pytest.mark.parametrize(
    "counted",
    [
        lambda case: [kind for _, _, kind in spans(case)],
        lambda case: [case["kind"] or case["class"]],
    ],
    ids=["spans of a kind", "cases of a kind or a class of look-alike"],
)
def test_the_halves_are_balanced(counted):
    even, odd = halves(counted)
    for name in even | odd:
        assert abs(even[name] - odd[name]) <= SHARE * (even[name] + odd[name]), name
