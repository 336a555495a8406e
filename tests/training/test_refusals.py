"""Refusals, and answers that only look like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.examples import Example
from training.methods import Drift, IterDpo, Spin
from training.pairs import Filtered, objection
from training.refusals import refused, refuses
from training.samplers.base import FinishReason, Sample

REFUSALS = {
    "plain": "I can't help with that.",
    "cannot": "I cannot assist with this request.",
    "typographic": "I’m sorry, but I can’t provide that information.",
    "apology": "I apologize, but I am unable to fulfill your request.",
    "able": "I'm not able to help with that.",
    "as an AI": "As an AI language model, I cannot provide medical advice.",
    "no access": "As an AI, I don't have access to real-time data.",
    "sorry, as an AI": "Sorry, as an AI assistant, I can't do that.",
    "decline": "I must decline to answer.",
    "quoted and bold": "**I'm sorry, but I cannot create that image.**",
    "two lines": "I'm sorry,\nbut I can't help with that.",
    "German": "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
    "Spanish": "Lo siento, pero no puedo ayudarte con eso.",
    "French": "Je suis désolé, mais je ne peux pas vous aider.",
    "Portuguese": "Desculpe, mas não posso fornecer isso.",
    "Italian": "Mi dispiace, ma non posso aiutarti.",
    "Russian": "Извините, но я не могу помочь с этим.",
    "Chinese": "抱歉，我无法提供这方面的帮助。",
    "Chinese, polite": "很抱歉，我不能回答这个问题。",
    "Japanese": "申し訳ありませんが、その件についてはお手伝いできません。",
    "Korean": "죄송하지만 그 요청은 도와드릴 수 없습니다.",
}
ANSWERS = {
    "an apology, then the answer": "I'm sorry for the confusion. The capital is Bern.",
    "sympathy": "I'm sorry to hear that you can't sleep. Try this.",
    "praise": "I can't recommend it highly enough.",
    "disbelief": "I can't believe how quick that was!",
    "about the matter": "I cannot be divided by zero, so the limit does not exist.",
    "about the user": "You can't help it, and that is fine.",
    "a character gives up": "I can't give up now, she thought.",
    "help it": "I can't help but smile at this one.",
    "an offer": "As an AI language model, I can help you plan this.",
    "later on": "Here is the letter.\n\nDear Sir, I can't help with that.",
    "a character speaks": '"Sorry," she said, "the shop is closed."',
    "German, the matter": "Es tut mir leid, dass das nicht klar war. Hier die Tabelle.",
    "Spanish, an apology": "Lo siento por el error. La respuesta es 4.",
    "Chinese, an apology": "抱歉，刚才的回答有误。正确答案是四。",
    "Japanese, an apology": "申し訳ありません。正しくは四です。",
    "Russian, regret": "К сожалению, я не знал этого. Вот ответ.",
    "nothing": "",
}


@pytest.mark.parametrize("text", REFUSALS.values(), ids=REFUSALS)
def test_refusals_are_known_by_their_openings(text: str) -> None:
    assert refuses(text)


@pytest.mark.parametrize("text", ANSWERS.values(), ids=ANSWERS)
def test_answers_that_look_like_refusals_are_none(text: str) -> None:
    assert not refuses(text)


def sample(text: str, reason: FinishReason = FinishReason.STOP) -> Sample:
    return Sample(text=text, prompt=(1,), tokens=(2,), finish_reason=reason, prompt_cut=False)


def test_what_was_withheld_is_refused_whatever_it_says() -> None:
    assert refused(sample("Take the bus.", FinishReason.REFUSED))
    assert refused(sample("", FinishReason.REFUSED))
    assert not refused(sample("Take the bus.", FinishReason.LENGTH))


def test_a_refusal_makes_no_pair() -> None:
    one = sample("I'm sorry, but I can't help with that.")
    asked = Example(turn_id="t", prompt=(), rejected="Take the train.", accepted="Take the bus.")
    assert Drift(guided=False, keep_cut_off=True).objection(asked, one) is Filtered.REFUSED
    # As the rejected half of a pair it is welcome.
    assert Spin(keep_cut_off=True).objection(asked, one) is None
    best = IterDpo(draws=2, keep_cut_off=True)
    assert best.pair(asked, [one, sample("Take the bus.")], [1.0, 0.0]) is Filtered.REFUSED
    assert best.pair(asked, [one, sample("Take the bus.")], [0.0, 1.0]) != Filtered.REFUSED


def test_a_withheld_answer_makes_no_pair() -> None:
    one = sample("Take the", FinishReason.REFUSED)
    assert objection(one, None, keep_cut_off=True) is Filtered.REFUSED


@given(st.text())
def test_what_stands_before_it_makes_it_no_opening(text: str) -> None:
    assert not refuses("Yes: " + text)
