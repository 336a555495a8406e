"""What may be asked of a backfill, in words; and logs whose records say their nights."""

import datetime as dt
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from driftmine.cli import app

# Words after "backfill" -> exit code, and what is said.
ASKED = {
    "from after to": (("ingest", "2026-03-02", "2026-03-01"), 2, "no date lies between"),
    "an empty range": (("mine", "2026-03-02", "2026-03-02"), 2, "write the day after it"),
    "an unknown stage": (("train", "2026-03-01", "2026-03-02"), 2, "known: ingest, mine"),
    "no date": (("mine", "yesterday", "2026-03-02"), 2, "YYYY-MM-DD"),
    "a detector of ingest": (
        ("ingest", "2026-03-01", "2026-03-02", "--detector", "x"), 2, "leave it out",
    ),
    "dates to come": (("mine", "2036-03-01", "2036-03-02"), 0, "Nothing to do"),
    "dates to come, dry": (("ingest", "2036-03-01", "2036-03-02", "--dry-run"), 0, "Nothing to do"),
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that holds nothing."""
    home = tmp_path_factory.mktemp("asked") / "home"
    with pytest.MonkeyPatch.context() as patch:  # the policy is not the matter, and takes seconds
        patch.setattr("driftmine.home.make_policy", lambda home: [])
        assert CliRunner().invoke(app, ["init", "--home", str(home)]).exit_code == 0
    return home


@pytest.mark.parametrize("words, code, says", ASKED.values(), ids=ASKED)
def test_what_may_be_asked(home: Path, words: tuple[str, ...], code: int, says: str) -> None:
    stage, first, end, *more = words
    asked = ["backfill", "--stage", stage, "--from", first, "--to", end, *more]
    done = CliRunner().invoke(app, [*asked, "--home", str(home), "--quiet"])
    assert done.exit_code == code
    assert says in " ".join((done.stdout + done.stderr).split())


def test_a_log_of_several_nights_is_read_once_and_whole(home: Path, tmp_path: Path) -> None:
    def run(*words: str) -> dict:
        done = CliRunner().invoke(app, [*words, "--home", str(home), "--json", "--quiet"])
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    chats = [
        {"id": str(day), "messages": [
            {"role": "user", "content": "a", "timestamp": f"2026-02-{day}T10:00:00Z"},
            {"role": "assistant", "content": "b"},
        ]}
        for day in (10, 11)
    ]  # fmt: skip
    log = tmp_path / "many.jsonl"
    log.write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    run("ingest", str(log), "--log-date", "record")
    log.write_text("".join(json.dumps(chat | {"model": "m"}) + "\n" for chat in chats) + "\n")
    asked = ("backfill", "--stage", "ingest", "--from", "2026-02-11", "--to", "2026-02-12")
    (date,) = run(*asked)["dates"]
    assert (date["log_date"], date["state"]) == ("2026-02-11", "done")
    assert date["ingest"]["nights"] == ["2026-02-10", "2026-02-11"]
    assert run(*asked)["total"] == {"unchanged": 1, "lost_logs": 0}
    today = dt.datetime.now(dt.UTC).date()
    later = ("--from", str(today), "--to", str(today + dt.timedelta(days=1)))
    assert run("backfill", "--stage", "ingest", *later)["dates"] == [], "it holds nothing of it"
