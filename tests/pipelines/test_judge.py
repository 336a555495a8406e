"""A night with a judge, and silver labels, as a user has them."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chat_server import ChatServer, Handler, completion, say, serving, status

ROOT = Path(__file__).parents[2]
KEY = "sk-do-not-tell"
ROWS = [
    {"id": "a", "user": "q", "assistant": "a", "follow_up": "no, that is wrong", "mine": [1]},
    {"id": "b", "user": "q", "assistant": "a", "follow_up": "perfect, thanks!", "label": "neutral"},
    {"id": "c", "user": "q", "assistant": "a", "follow_up": "hm, in winter too?", "label": None},
]
COMPLAINT = say('{"category": "complaint", "confidence": 0.9}')


@pytest.fixture
def serve() -> Iterator[Callable[..., ChatServer]]:
    with ExitStack() as stack:
        yield lambda *script: stack.enter_context(serving(*script))


@pytest.fixture
def home(driftmine: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """home(server, low=0): a home with that server as its judge; returns --home and its folder."""
    folder = tmp_path / "home"
    monkeypatch.setenv("JUDGE_KEY", KEY)
    monkeypatch.setattr("training.tiny.make", lambda folder, seed: folder.mkdir())

    def make(server: ChatServer, **settings: object) -> tuple[str, Path]:
        if not folder.exists():
            driftmine("init", "--home", folder)
        given = {
            "base_url": server.url, "model": "m", "api_key_env": "JUDGE_KEY", "low": 0.0,
            "high": 1.0, "attempts": 1, "concurrency": 1, **settings,
        }  # fmt: skip
        lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
        (folder / "driftmine.toml").write_text("\n".join(["[mining.judge]", *lines]))
        return "--home", folder

    return make


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


@pytest.fixture
def night(driftmine: Callable, tmp_path: Path) -> Callable:
    """Ingest one log, mine it, and return what `mine` says."""

    def run(at: tuple[str, Path]) -> dict:
        chats = [
            {"id": str(n), "messages": [
                {"role": role, "content": text}
                for role, text in (("user", "q"), ("assistant", "a"), ("user", f"in winter {n}?"))
            ]}
            for n in range(4)
        ]  # fmt: skip
        log = tmp_path / "log.jsonl"
        log.write_text("\n".join(map(json.dumps, chats)))
        driftmine("ingest", log, *at, "--log-date", "2026-03-01")
        done = driftmine("mine", *at, "--json")
        assert done.exit_code == 0
        (report,) = done.json()["dates"]
        return report

    return run


def test_a_night_with_a_judge(driftmine: Callable, home: Callable, serve, night) -> None:
    server = serve(COMPLAINT)
    at = home(server)
    report = night(at)
    assert re.search(r"\+judge\.[0-9a-f]{8}$", report["detector_version"])
    assert report["published"]
    assert report["judge"]["by_outcome"] == {"answered": 4}
    query = "SELECT detector_version, evidence FROM signals"
    found = driftmine("sql", query, *at, "--json").json()["rows"]
    assert ["judge_v1" in json.dumps(row["evidence"]) for row in found] == [True] * 4
    assert {row["detector_version"] for row in found} == {report["detector_version"]}
    again = driftmine("mine", *at, "--json").json()["dates"][0]
    assert not again["published"]
    assert {**again, "published": True} == report
    assert len(server.seen) == 4


def test_a_dead_judge_fails_no_night(home: Callable, serve, night) -> None:
    report = night(home(serve(status(503))))
    assert (report["published"], report["follow_ups"]) == (True, 4)
    assert report["judge"]["by_outcome"] == {"server_error": 4}


def test_another_set_up_mines_the_night_again(
    driftmine: Callable, home: Callable, serve, night
) -> None:
    server = serve(COMPLAINT)
    first = night(home(server))
    second = driftmine("mine", *home(server, said_dsat=0.8), "--json").json()["dates"][0]
    assert second["published"]
    assert second["detector_version"] != first["detector_version"]
    assert len(server.seen) == 4, "the answers are the same, and were paid for"


def test_silver_labels_train_a_detector(
    driftmine: Callable, home: Callable, serve, rows: Path, tmp_path: Path
) -> None:
    def by_text(handler: Handler) -> None:
        text = handler.asked["messages"][1]["content"]
        label = "sat" if "thanks" in text else "correction" if "wrong" in text else "neutral"
        handler.reply(200, completion(json.dumps({"category": label, "confidence": 0.8})))

    out = tmp_path / "new" / "out.jsonl"
    at = home(serve(by_text))
    done = driftmine("detector", "label", rows, out, *at, "--json")
    assert done.exit_code == 0
    found = done.json()
    assert (found["rows"], found["labelled"]) == (3, 3)
    assert (found["model"], found["prompt"]) == ("m", "dsat_judge_v1")
    written = [json.loads(line) for line in out.read_text().splitlines()]
    by = {"model": "m", "prompt": "dsat_judge_v1", "confidence": 0.8}
    assert written[0] == ROWS[0] | {"label": "correction", "signal": "dsat", "judge": by}
    assert [row["label"] for row in written] == ["correction", "sat", "neutral"]
    agreed = driftmine("detector", "agree", rows, out, "--json").json()
    assert agreed["n"] == 1, "of the rows that had a label"

    many = [json.dumps({**ROWS[n % 3], "id": f"{n}", "user": f"question {n}"}) for n in range(60)]
    rows.write_text("\n".join(many))
    driftmine("detector", "label", rows, out, *at)
    trained = driftmine("detector", "train", out, "--out", tmp_path / "d", "--json")
    assert trained.json()["rows"] == 60


def test_labelling_goes_on_where_it_was(
    driftmine: Callable, home: Callable, serve, rows: Path, tmp_path: Path
) -> None:
    server = serve(COMPLAINT)
    at, out = home(server, max_calls=2), tmp_path / "out.jsonl"
    first = driftmine("detector", "label", rows, out, *at, "--json")
    assert (first.exit_code, first.json()["labelled"]) == (3, 2)
    assert first.json()["judge"]["not_asked"] == {"over_budget": 1}
    second = driftmine("detector", "label", rows, out, *at, "--json")
    assert (second.exit_code, second.json()["labelled"]) == (0, 3)
    assert second.json()["judge"]["cached"] == 2
    assert len(server.seen) == 3
    shown = driftmine("detector", "label", rows, out, *at)
    for words in ("3 of 3 rows", "3 complaint", "0 new, 3 of earlier runs", "dsat_judge_v1"):
        assert words in shown.stdout
    assert '"questions to the judge"' in shown.stderr


def test_limit_and_uncertain(
    driftmine: Callable, home: Callable, serve, rows: Path, tmp_path: Path
) -> None:
    server, out = serve(COMPLAINT), tmp_path / "out.jsonl"
    words = ("detector", "label", rows, out)
    assert driftmine(*words, *home(server), "--limit", "1", "--json").json()["rows"] == 1
    scores = tmp_path / "s.jsonl"
    driftmine("detector", "evaluate", rows, "--scores", scores)
    p = {row["id"]: row["probability"] for row in map(json.loads, scores.read_text().splitlines())}
    at = home(server, low=p["c"] - 0.01, high=p["c"] + 0.01)
    driftmine(*words, *at, "--uncertain")
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["c"]
    at = home(server, low=0.0, high=0.0)
    assert driftmine(*words, *at, "--uncertain", "--json").json()["labelled"] == 0


def test_an_endpoint_that_is_down_leaves_the_file_as_it_was(
    driftmine: Callable, home: Callable, serve, rows: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("of an earlier run")
    many = [json.dumps({**ROWS[0], "user": f"q{n}"}) for n in range(9)]
    rows.write_text("\n".join(many))
    server = serve(COMPLAINT, status(401))
    done = driftmine("detector", "label", rows, out, *home(server), "--json")
    assert (done.exit_code, done.json()["error"]) == (1, "SourceUnavailable")
    assert "1 of 9 answers are kept" in done.json()["message"]
    assert "5 refused" in done.json()["message"]
    assert out.read_text() == "of an earlier run"


BAD: dict[str, tuple[dict, str]] = {
    "no judge": ({"base_url": ""}, "No judge is set"),
    "no model": ({"model": ""}, "no model"),
    "in clear": ({"base_url": "http://example.com/v1"}, "unencrypted"),
    "the key as its name": ({"api_key_env": KEY}, "may be the key itself"),
    "a confidence of 1 for ever": ({"said_dsat": 1.0}, "[mining.judge] said_dsat"),
    "a band upside down": ({"low": 0.9, "high": 0.1}, "low is above high"),
    "a misspelt key": ({"modell": "m"}, "did you mean model?"),
}


@pytest.mark.parametrize("settings, says", BAD.values(), ids=BAD)
def test_settings_that_make_no_sense(
    driftmine: Callable, home: Callable, serve, rows: Path, tmp_path: Path, settings, says
) -> None:
    at = home(serve(COMPLAINT), **settings)
    done = driftmine("detector", "label", rows, tmp_path / "o.jsonl", *at, "--json")
    assert done.exit_code == 2
    assert says in done.json()["message"]
    assert KEY not in done.stdout + done.stderr


def test_the_rows_are_never_written_over(
    driftmine: Callable, home: Callable, serve, rows: Path
) -> None:
    done = driftmine("detector", "label", rows, rows, *home(serve(COMPLAINT)), "--json")
    assert done.exit_code == 2
    assert len(rows.read_text().splitlines()) == 3


DOCTOR: dict[str, tuple[dict, str, str]] = {
    "none": ({"base_url": ""}, "ok", "no base_url"),
    "set": ({}, "ok", "m at http://127.0.0.1"),
    "no key": ({"api_key_env": "NO_SUCH_KEY"}, "problem", "NO_SUCH_KEY holds no key"),
}


@pytest.mark.parametrize("settings, state, says", DOCTOR.values(), ids=DOCTOR)
def test_the_doctor_looks_at_it(
    driftmine: Callable, home: Callable, serve, settings, state, says
) -> None:
    server: ChatServer = serve(COMPLAINT)
    done = driftmine("doctor", *home(server, **settings), "--json")
    (line,) = [line for line in done.json() if line["check"] == "judge"]
    assert line["state"] == state
    assert says in line["detail"]
    assert server.seen == [], "it is not called"


def test_the_doctor_looks_at_the_judge_of_answers_too(
    driftmine: Callable, home: Callable, serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = home(serve(COMPLAINT), base_url="")
    monkeypatch.setenv("DRIFTMINE_TRAINING__JUDGE__BASE_URL", "http://example.com/v1")
    monkeypatch.setenv("DRIFTMINE_TRAINING__JUDGE__MODEL", "other")
    (line,) = [
        line for line in driftmine("doctor", *at, "--json").json() if line["check"] == "judge"
    ]
    assert (line["state"], "unencrypted" in line["detail"]) == ("problem", True)


def test_all_of_it_is_documented() -> None:
    text = (ROOT / "docs" / "detection.md").read_text()
    for word in ("detector label", "--limit", "--uncertain", "[mining.judge]", "judge_v1"):
        assert word in text
