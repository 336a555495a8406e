"""How words are drawn, what is sent of it, and which models a server names."""

import json

import pytest

from endpoint.drawing import Drawer, Wanted
from endpoint.ledger import SAMPLES, forget, kept
from endpoint.options import EndpointOptions
from endpoint.outcome import Outcome
from endpoint.timing import Timing
from endpoint.transport import Choice, Drawing, Failed, Reply, Served, Transport
from tests.chat_server import body, say, serving, status

ASKED = [{"role": "user", "content": "Hi"}]
SENT = {
    "nothing said": (None, {"temperature": 0, "max_tokens": 200}),
    "all of it": (
        Drawing(temperature=0.7, top_p=0.9, seed=3, max_tokens=5, n=2),
        {"temperature": 0.7, "top_p": 0.9, "seed": 3, "max_tokens": 5, "n": 2},
    ),
}


def transport(url: str) -> Transport:
    return Transport(EndpointOptions(base_url=url, model="m"), Timing())


@pytest.mark.parametrize("drawing, sent", SENT.values(), ids=SENT)
def test_only_what_is_said_is_sent(drawing: Drawing | None, sent: dict) -> None:
    with serving(say("x")) as server:
        transport(server.url).send(ASKED, drawing)
    assert server.seen == [{"model": "m", "messages": ASKED} | sent]


def test_several_replies_come_with_their_ends() -> None:
    ends = {"a": "stop", "b": "length", "c": None}
    choices = [{"message": {"content": t}, "finish_reason": end} for t, end in ends.items()]
    with serving(body(json.dumps({"choices": choices}).encode())) as server:
        reply = transport(server.url).send(ASKED, Drawing(n=3))
    assert isinstance(reply, Reply) and reply.text == "a"
    assert reply.choices == tuple(Choice(text, end) for text, end in ends.items())


MODELS = {
    "as vLLM says it": (
        body(b'{"object": "list", "data": [{"id": "a", "root": "/m/a", "owned_by": "vllm"}]}'),
        [Served("a", "/m/a")],
    ),
    "as others do": (body(b'{"data": [{"id": "a"}, {"id": "b"}]}'), [Served("a"), Served("b")]),
    "no list": (body(b'{"models": []}'), Failed(Outcome.UNREADABLE)),
    "no such path": (status(404), Failed(Outcome.REFUSED)),
    "elsewhere": (status(302, Location="http://other"), Failed(Outcome.REDIRECTED)),
}


@pytest.mark.parametrize("behave, found", MODELS.values(), ids=MODELS)
def test_models_that_a_server_names(behave, found) -> None:
    with serving(behave) as server:
        assert transport(server.url).served() == found


def test_answers_of_the_judge_outlive_those_that_are_forgotten(tmp_path) -> None:
    store = tmp_path / "both.sqlite"
    with serving(say("x")) as server:
        options = EndpointOptions(base_url=server.url, model="m", store=str(store))
        drawer = Drawer(options, account="a")
        drawer.draw([Wanted(messages=tuple(ASKED), drawing=Drawing(seed=1), policy="p")])
        drawer._ledger.keep("of the judge", "{}")
        assert kept(store, SAMPLES) == 1
        assert forget(store, SAMPLES) == 1 and kept(store, SAMPLES) == 0
        assert drawer._ledger.answer("of the judge") == "{}"
        drawer.close()
    assert forget(tmp_path / "none.sqlite", SAMPLES) == kept(tmp_path / "none.sqlite", SAMPLES) == 0
