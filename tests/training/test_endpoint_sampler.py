"""Drawing from a server: the right policy, once each, within the budget, and from the store."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from endpoint.ledger import spent
from endpoint.timing import Timing
from tests.chat_server import Behaviour, ChatServer, Handler, serving, status
from training.options import TrainingOptions
from training.pairs import Filtered, objection
from training.prompts import Prompt
from training.samplers.base import FinishReason, Sampling
from training.samplers.options import SamplerOptions
from warehouse.errors import PolicyUnusable, SettingsError, SourceUnavailable, TrainingFailed
from warehouse.records import DsatTurn, Message, Role

pytest.importorskip("torch")
pytest.importorskip("httpx")

from tests.training.iterations import learned_from, placed  # noqa: E402
from training.policy import Policy, load  # noqa: E402
from training.samplers.chosen import chosen  # noqa: E402
from training.samplers.endpoint import EndpointSampler, clear, served_name  # noqa: E402
from training.samplers.hf import HfSampler  # noqa: E402

WARM = Sampling(temperature=0.7, top_p=0.9, max_new_tokens=8, max_prompt_tokens=60, batch=4)
NAME = "v0003-1a2b3c4d"


def ask(*texts: str) -> list[Prompt]:
    return [(Message(role=Role.USER, content=text),) for text in texts]


def answers(
    *script: Behaviour, names: tuple[str, ...] = (NAME,), root: str | None = None
) -> Behaviour:
    """Names its models when asked for them, and else does what the script says, in turn."""
    left = list(script)

    def behave(handler: Handler) -> None:
        if handler.command == "GET":
            data = [{"id": name, "object": "model", "root": root} for name in names]
            handler.reply(200, json.dumps({"object": "list", "data": data}).encode())
            return
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return behave


def say(text: str, reason: str = "stop", tokens: tuple[int, int] = (9, 3)) -> Behaviour:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": reason}
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    whole = json.dumps({"choices": [choice], "usage": usage}).encode()
    return lambda handler: handler.reply(200, whole)


def echo(handler: Handler) -> None:
    say(f"{handler.asked['messages'][-1]['content']} {handler.asked['seed']}")(handler)


@pytest.fixture(scope="module")
def policy(policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """Loaded from a folder that has a version's name."""
    link = tmp_path_factory.mktemp("versions") / NAME
    link.symlink_to(policy_folder)
    return load(str(link))


Make = Callable[..., tuple[EndpointSampler, ChatServer]]


@pytest.fixture
def serve(policy: Policy, tmp_path: Path) -> Iterator[Make]:
    """A sampler of a server that behaves so."""
    with ExitStack() as stack:

        def make(behave: Behaviour, **changes: Any) -> tuple[EndpointSampler, ChatServer]:
            server = stack.enter_context(serving(behave))
            plain = {"concurrency": 1, "store": str(tmp_path / "samples.sqlite")}
            endpoint = SamplerOptions(base_url=server.url, **{**plain, **changes})
            options = TrainingOptions(sampler="endpoint", endpoint=endpoint)
            timing = Timing(sleep=lambda _: None, chance=lambda: 0.0)
            return EndpointSampler(policy=policy, options=options, timing=timing), server

        yield make


def posts(server: ChatServer) -> list[dict[str, Any]]:
    return [body for body in server.seen if body]


def test_an_answer_is_drawn_as_the_settings_say(serve: Make, policy: Policy) -> None:
    sampler, server = serve(answers(say("The river.")))
    (sample,) = sampler.sample(ask("Where?"), WARM, seed=1)
    assert sample.text == "The river."
    assert sample.finish_reason is FinishReason.STOP
    assert sample.tokens == (
        *policy.tokenizer("The river.")["input_ids"],
        policy.tokenizer.eos_token_id,
    )
    assert sample.prompt == tuple(policy.prompt_ids(ask("Where?")[0]))
    assert sample.logp is None and not sample.prompt_cut
    (sent,) = posts(server)
    seed = sent.pop("seed")
    assert 0 <= seed < 2**31
    assert sent == {
        "model": NAME, "messages": [{"role": "user", "content": "Where?"}], "temperature": 0.7,
        "top_p": 0.9, "max_tokens": 8,
    }  # fmt: skip


def test_every_draw_has_a_seed_of_its_own_and_the_same_one_again(serve: Make) -> None:
    sampler, server = serve(answers(echo))
    first = sampler.sample(ask("a", "a", "b"), WARM, seed=1)
    assert len({sample.text for sample in first}) == 3
    assert sampler.sample(ask("a", "a", "b"), WARM, seed=1) == first
    assert len(posts(server)) == 3, "what was drawn before comes from the store"
    other = sampler.sample(ask("a", "a", "b"), WARM, seed=2)
    assert not {s.text for s in other} & {s.text for s in first}
    hotter = sampler.sample(ask("a"), replace(WARM, temperature=1.0), seed=1)
    assert len(posts(server)) == 7 and len(hotter) == 1


def test_other_weights_in_the_same_folder_share_no_answer(
    serve: Make, policy: Policy, policy_folder: Path, tmp_path: Path
) -> None:
    sampler, server = serve(answers(say("x"), names=("champion",)), model="champion")
    folder = tmp_path / "mended"
    shutil.copytree(policy_folder, folder)
    here = replace(sampler, policy=replace(policy, source=str(folder)))
    here.sample(ask("a"), WARM, seed=1)
    weights = next(folder.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    replace(here).sample(ask("a"), WARM, seed=1)
    assert len(posts(server)) == 2


def test_a_run_that_broke_off_does_not_pay_twice(serve: Make) -> None:
    sampler, server = serve(answers(say("one"), status(400)), max_calls=2)
    with pytest.raises(TrainingFailed, match=r"2 of 3 answers were not drawn .*run again"):
        sampler.sample(ask("a", "b", "c"), WARM, seed=1)
    assert len(posts(server)) == 2
    server.script[0] = answers(say("late"))
    richer = replace(sampler.options.endpoint, max_calls=9)
    again = replace(sampler, options=replace(sampler.options, endpoint=richer))
    samples = again.sample(ask("a", "b", "c"), WARM, seed=1)
    assert [sample.text for sample in samples] == ["one", "late", "late"]
    assert len(posts(server)) == 4


def test_a_failure_that_passes_is_tried_again_and_counted(serve: Make, tmp_path: Path) -> None:
    sampler, server = serve(answers(status(503), status(429), say("x")), price_in=1e6)
    assert sampler.sample(ask("a"), WARM, seed=1)[0].text == "x"
    assert len(posts(server)) == 3
    (account,) = {f"sample {Timing().now():%Y-%m-%d}"}
    cost = spent(tmp_path / "samples.sqlite", account)
    assert cost is not None and cost.by_outcome["answered"] == 1 and cost.cost >= 9


ENDED = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.REFUSED,
    "tool_calls": FinishReason.LENGTH,
}


@pytest.mark.parametrize("said, reason", ENDED.items(), ids=ENDED)
def test_why_an_answer_ended(said: str, reason: FinishReason, serve: Make, policy: Policy) -> None:
    sampler, _ = serve(answers(say("So it is", said)))
    (sample,) = sampler.sample(ask("a"), WARM, seed=1)
    assert sample.finish_reason is reason
    assert (sample.tokens[-1] == policy.tokenizer.eos_token_id) == (said == "stop")
    withheld = objection(sample, "other", keep_cut_off=True) is Filtered.REFUSED
    assert withheld == (said == "content_filter")


def test_an_answer_that_does_not_come_makes_no_pair(
    serve: Make, caplog: pytest.LogCaptureFixture
) -> None:
    sampler, _ = serve(answers(status(400), say("fine")))
    samples = sampler.sample(ask("a", "b"), WARM, seed=1)
    assert sorted(s.text for s in samples) == ["", "fine"]
    assert [s.finish_reason for s in samples].count(FinishReason.REFUSED) == 1
    assert "1 answers did not come: {'refused': 1}" in caplog.text


def test_a_prompt_counted_otherwise_is_told(serve: Make, caplog: pytest.LogCaptureFixture) -> None:
    sampler, _ = serve(answers(say("x", tokens=(4321, 1))))
    sampler.sample(ask("a"), WARM, seed=1)
    assert "of 1 prompts the server counts other tokens than this side for 1" in caplog.text


def test_a_long_prompt_is_cut_here(serve: Make) -> None:
    sampler, server = serve(answers(say("x")))
    (sample,) = sampler.sample(ask("river " * 50), WARM, seed=1)
    assert sample.prompt_cut and len(sample.prompt) <= 60
    assert len(posts(server)[0]["messages"][0]["content"]) < 60


WRONG: dict[str, tuple[Behaviour, type[Exception], str]] = {
    "another version": (
        answers(say("x"), names=("v0002-00000000",)), PolicyUnusable,
        rf"serves v0002-00000000, and .* is {NAME}. `driftmine sampler serve-vllm {NAME}`",
    ),
    "nothing": (answers(say("x"), names=()), PolicyUnusable, "serves nothing"),
    "another folder by the right name": (
        answers(say("x"), root="/models/versions/v0002-00000000"), PolicyUnusable,
        f"calls {NAME} was loaded from v0002-00000000",
    ),
    "no such path": (status(404), SourceUnavailable, r"\(refused\).*serve-vllm"),
    "no list": (lambda h: h.reply(200, b"{}"), SourceUnavailable, r"\(unreadable\)"),
}  # fmt: skip


@pytest.mark.parametrize("behave, error, says", WRONG.values(), ids=WRONG)
def test_only_the_policy_in_training_is_drawn_from(
    behave: Behaviour, error: type[Exception], says: str, serve: Make
) -> None:
    sampler, server = serve(behave)
    with pytest.raises(error, match=says):
        sampler.sample(ask("a"), WARM, seed=1)
    assert posts(server) == []


def test_nobody_listens(serve: Make) -> None:
    sampler, server = serve(answers(say("x")))
    server.shutdown()
    server.server_close()
    with pytest.raises(SourceUnavailable, match=r"\(no_connection\).*serve-vllm"):
        sampler.sample(ask("a"), WARM, seed=1)


def test_names_on_the_server() -> None:
    plain = TrainingOptions()
    named = replace(plain, endpoint=SamplerOptions(model="ours"))
    assert served_name(f"/models/versions/{NAME}", plain) == NAME
    assert (
        served_name(f"/models/versions/{NAME}", named) == served_name("org/base", named) == "ours"
    )
    with pytest.raises(SettingsError, match=r"\[training.endpoint\] model is not set.*org/base"):
        served_name("org/base", plain)


def test_a_base_that_is_not_served_is_told_the_whole_command(serve: Make, policy: Policy) -> None:
    sampler, _ = serve(answers(say("x"), names=("other",)), model="our base")
    base = replace(sampler, policy=replace(policy, source="/srv/my base"))
    with pytest.raises(PolicyUnusable, match="vllm serve '/srv/my base' --served-model-name 'our"):
        base.sample(ask("a"), WARM, seed=1)


def test_the_settings_choose_the_sampler(policy: Policy, tmp_path: Path) -> None:
    assert isinstance(chosen(policy, TrainingOptions(), None), HfSampler)
    one = chosen(policy, TrainingOptions(sampler="endpoint"), None)
    assert isinstance(one, EndpointSampler)
    with pytest.raises(SettingsError, match=r"needs `base_url` in \[training.endpoint\]"):
        one.sample(ask("a"), WARM, 0)


def test_an_update_draws_from_the_server(
    serve: Make, policy: Policy, make_turns: Callable[[int], list[DsatTurn]], tmp_path: Path
) -> None:
    sampler, server = serve(answers(echo), concurrency=4)
    options = replace(
        sampler.options, max_length=512, max_prompt_tokens=400, max_new_tokens=24, guided=False
    )
    learned = learned_from(placed(policy.source, tmp_path), make_turns(4), [], options)
    assert learned.update.trained == len(posts(server)) == 4
    assert all(pair.chosen.startswith(pair.prompt[-1].content) for pair in learned.pairs.pairs)


def test_drawn_texts_are_forgotten_and_costs_are_not(serve: Make, tmp_path: Path) -> None:
    sampler, server = serve(answers(say("a secret of the user")))
    sampler.sample(ask("a"), WARM, seed=1)
    assert clear(TrainingOptions()) == 0, "another sampler has none"
    assert clear(sampler.options) == 1 and clear(sampler.options) == 0
    left = b"".join(path.read_bytes() for path in tmp_path.glob("samples.sqlite*"))
    assert b"secret" not in left
    sampler.sample(ask("a"), WARM, seed=1)
    assert len(posts(server)) == 2
