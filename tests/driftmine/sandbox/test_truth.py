"""What is wrong with an answer: cases by name, for every fault and every language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmine.sandbox.tasks import Casing, Family, Form, Order, Task
from driftmine.sandbox.truth import Fault, collated, faults, split
from tests.driftmine.sandbox.chance import DRAWN


def name(language="en", n=3, **fields):
    fields = {"target": language, "category": "animals"} | fields
    return Task(family=Family.NAME, language=language, n=n, **fields)


def sort(*numbers, language="en", category="animals", order=Order.ALPHABETICAL, **fields):
    words = tuple((category, number) for number in numbers)
    return Task(
        family=Family.SORT, language=language, target=language, n=len(words), words=words,
        order=order, **fields,
    )  # fmt: skip


def add(a, b, form, language="en"):
    return Task(family=Family.SUM, language=language, target=language, addends=(a, b), form=form)


def translate(*words, language="en", target="de", **fields):
    return Task(
        family=Family.TRANSLATE, language=language, target=target, says_target=True, n=len(words),
        words=words, **fields,
    )  # fmt: skip


CAT, DOG, ORANGE, ROSA = ("animals", 1), ("animals", 2), ("fruits", 7), ("colours", 5)
NUMBERED, DASHES = name(form=Form.NUMBERED), name(form=Form.DASHES)
SEMICOLONS, CAPITALS = name(form=Form.SEMICOLONS), name(casing=Casing.CAPITALS)

RIGHT = {
    "as dictionaries write it": (name(), "bear, cat, dog"),
    "any casing": (name(), "Bear, CAT, dog"),
    "blanks around it": (name(), " bear, cat, dog\n"),
    "German": (name("de"), "Bär, Katze, Hund"),
    "Spanish": (name("es"), "oso, gato, ratón"),
    "in another language, as asked": (name(target="de", says_target=True), "Bär, Maus, Hund"),
    "capitals": (CAPITALS, "BEAR, CAT, DOG"),
    "capitals with an umlaut": (name("de", casing=Casing.CAPITALS), "BÄR, KATZE, HUND"),
    "capitals with an accent": (name("es", casing=Casing.CAPITALS), "RATÓN, OSO, PATO"),
    "lower case": (name(casing=Casing.LOWER), "bear, cat, dog"),
    "lower case, of German nouns": (name("de", casing=Casing.LOWER), "bär, katze, hund"),
    "alphabetical": (name(order=Order.ALPHABETICAL), "bear, cat, dog"),
    "alphabetical in capitals": (
        name("de", order=Order.ALPHABETICAL, casing=Casing.CAPITALS),
        "BÄR, ENTE, HUND",
    ),
    "alphabetical, whatever the casing": (name(order=Order.ALPHABETICAL), "bear, Cat, dog"),
    "reversed": (name(order=Order.REVERSED), "dog, cat, bear"),
    "numbered": (NUMBERED, "1. bear\n2. cat\n3. dog"),
    "dashes": (DASHES, "- bear\n- cat\n- dog"),
    "semicolons": (SEMICOLONS, "bear; cat; dog"),
    "sorted": (sort(2, 0, 1), "bear, cat, dog"),
    "sorted from Z to A": (sort(0, 1, 2, order=Order.REVERSED), "dog, cat, bear"),
    "sorted by letters without their marks": (
        sort(0, 1, 3, language="de", category="colours"),
        "Blau, Grün, Schwarz",
    ),
    "a sum in digits": (add(4, 3, Form.DIGITS), "7"),
    "a sum in words": (add(4, 3, Form.WORD), "seven"),
    "a sum with a full stop": (add(4, 3, Form.WORD), "Seven."),
    "a German sum": (add(9, 3, Form.WORD, "de"), "zwölf"),
    "a Spanish sum": (add(9, 7, Form.WORD, "es"), "dieciséis"),
    "translated": (translate(CAT), "Katze"),
    "translated, in any order": (translate(CAT, DOG), "Hund, Katze"),
    "translated into Spanish": (translate(CAT, language="de", target="es"), "gato"),
    "a word that both languages share": (translate(ORANGE), "orange"),
}  # fmt: skip
WRONG = {
    "too few": (name(), "bear, cat", {Fault.COUNT}),
    "too many": (name(), "bear, cat, dog, fox", {Fault.COUNT}),
    "too few, numbered": (NUMBERED, "1. bear\n2. cat", {Fault.COUNT}),
    "too few to sort": (sort(2, 0, 1), "bear, cat", {Fault.COUNT}),
    "no animal": (name(), "bear, cat, apple", {Fault.CATEGORY}),
    "no word": (name(), "bear, cat, brrr", {Fault.CATEGORY}),
    "a full stop behind a list": (name(), "bear, cat, dog.", {Fault.CATEGORY}),
    "an animal that was not to be sorted": (sort(2, 0, 1), "bear, cat, fox", {Fault.CATEGORY}),
    "another word translated": (translate(CAT), "Hund", {Fault.CATEGORY}),
    "an umlaut left out": (name("de"), "Bar, Katze, Hund", {Fault.CATEGORY}),
    "German": (name(), "Bär, Katze, Hund", {Fault.LANGUAGE}),
    "one of them German": (name(), "bear, Katze, dog", {Fault.LANGUAGE}),
    "the request's language": (
        name(target="es", says_target=True), "bear, cat, dog", {Fault.LANGUAGE},
    ),
    "not translated": (translate(CAT), "cat", {Fault.LANGUAGE}),
    "translated into a third language": (translate(CAT), "gato", {Fault.LANGUAGE}),
    "twice": (name(), "bear, cat, cat", {Fault.REPEAT}),
    "twice in another casing": (name(), "bear, cat, Cat", {Fault.REPEAT}),
    "one twice and one never": (
        sort(2, 0, 1), "bear, bear, cat", {Fault.REPEAT, Fault.CATEGORY},
    ),
    "not alphabetical": (name(order=Order.ALPHABETICAL), "cat, bear, dog", {Fault.ORDER}),
    "not from Z to A": (name(order=Order.REVERSED), "bear, cat, dog", {Fault.ORDER}),
    "not sorted": (sort(2, 0, 1), "dog, bear, cat", {Fault.ORDER}),
    "no capitals": (CAPITALS, "bear, cat, dog", {Fault.CASING}),
    "one without capitals": (CAPITALS, "BEAR, CAT, Dog", {Fault.CASING}),
    "no lower case": (name("de", casing=Casing.LOWER), "Bär, Katze, Hund", {Fault.CASING}),
    "commas and no numbers": (NUMBERED, "bear, cat, dog", {Fault.FORMAT}),
    "numbers in disorder": (NUMBERED, "1. bear\n3. cat\n2. dog", {Fault.FORMAT}),
    "numbers in one line": (NUMBERED, "1. bear 2. cat 3. dog", {Fault.FORMAT}),
    "dashes and no numbers": (NUMBERED, "- bear\n- cat\n- dog", {Fault.FORMAT}),
    "numbers and no dashes": (DASHES, "1. bear\n2. cat\n3. dog", {Fault.FORMAT}),
    "commas and no semicolons": (SEMICOLONS, "bear, cat, dog", {Fault.FORMAT}),
    "semicolons unasked": (name(), "bear; cat; dog", {Fault.FORMAT}),
    "a list unasked": (name(), "- bear\n- cat\n- dog", {Fault.FORMAT}),
    "nothing": (name(), "", {Fault.FORMAT, Fault.COUNT}),
    "four at once": (
        name(order=Order.ALPHABETICAL, casing=Casing.CAPITALS, form=Form.NUMBERED), "dog, Bär",
        {Fault.FORMAT, Fault.COUNT, Fault.LANGUAGE, Fault.ORDER, Fault.CASING},
    ),
    "a wrong sum": (add(4, 3, Form.DIGITS), "8", {Fault.ARITHMETIC}),
    "a wrong sum in words": (add(4, 3, Form.WORD), "eight", {Fault.ARITHMETIC}),
    "digits for a word": (add(4, 3, Form.WORD), "7", {Fault.FORMAT}),
    "a word for digits": (add(4, 3, Form.DIGITS), "seven", {Fault.FORMAT}),
    "a word of another language": (add(4, 3, Form.WORD, "es"), "sieben", {Fault.FORMAT}),
    "an equation": (add(4, 3, Form.DIGITS), "4 + 3 = 7", {Fault.ARITHMETIC}),
    "no sum": (add(4, 3, Form.DIGITS), "", {Fault.ARITHMETIC}),
}  # fmt: skip


@pytest.mark.parametrize("task, answer", RIGHT.values(), ids=RIGHT)
def test_right_answers_have_no_fault(task, answer):
    assert faults(task, answer) == frozenset()


@pytest.mark.parametrize("task, answer, found", WRONG.values(), ids=WRONG)
def test_wrong_answers_have_just_the_faults_that_they_have(task, answer, found):
    assert faults(task, answer) == found


def test_every_fault_has_a_case():
    assert set().union(*(found for _, _, found in WRONG.values())) == {*Fault}


@given(DRAWN, st.text() | st.text("aeBä,;-.\n 1234"))
def test_any_text_has_a_set_of_faults(task, answer):
    assert faults(task, answer) <= {*Fault}


COLLATED = {
    "an umlaut": ("grün", "grun"),
    "a sharp s": ("größe", "grosse"),
    "a tilde": ("ñu", "nu"),
}


@pytest.mark.parametrize("text, key", COLLATED.values(), ids=COLLATED)
def test_marks_do_not_count_in_sorting(text, key):
    assert collated(text) == key


@given(st.text(), st.sampled_from((Form.ANY, Form.DASHES, Form.NUMBERED, Form.SEMICOLONS)))
def test_the_words_of_an_answer_hold_no_separator(answer, form):
    for part in split(answer, form) or ():
        assert part and not set(part) & set(",;\n")
