"""What a command finds in a home, and in one that is not there yet."""

import datetime as dt
import json
from pathlib import Path

import pytest

from driftmine import session as sessions
from driftmine.console import Console
from driftmine.home import KEY_VARIABLE, Home
from driftmine.session import Session, need_extra, run
from driftmine.settings import Settings
from warehouse.errors import CommitConflict, MissingExtra, QualityLimit, SettingsError

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Home(tmp_path / "home"), Console(as_json=False, quiet=True), NOW)


def test_a_new_home_is_used_with_the_settings_it_is_given(session: Session) -> None:
    assert session.settings == Settings()
    session.ensure_home()
    assert session.settings.training.max_turns == 128
    assert session.settings.training.max_new_tokens == 64


def test_a_home_is_made_once_and_then_left_alone(session: Session) -> None:
    session.ensure_home()
    session.home.settings.write_text("[training]\nmax_turns = 7\n")
    key = session.home.user_key()
    again = Session(session.home, session.console, NOW)
    again.ensure_home()
    assert again.settings.training.max_turns == 7
    assert again.home.user_key() == key


def test_relative_paths_in_the_file_start_at_the_home(session: Session) -> None:
    session.ensure_home()
    (session.home.root / "models" / "mine").mkdir(parents=True)
    session.home.settings.write_text(
        '[nightly]\nlogs = ["in/*.jsonl", "/abs/log.jsonl"]\n[training]\npolicy = "models/mine"\n'
        '[mining]\ndetector = "default"\n'
    )
    settings = Session(session.home, session.console, NOW).settings
    root = session.home.root
    assert settings.nightly.logs == (f"{root}/in/*.jsonl", "/abs/log.jsonl")
    assert settings.training.policy == f"{root}/models/mine"
    assert settings.mining.detector == "default"


def test_an_unusable_key_spoils_no_new_home(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "abc")
    with pytest.raises(SettingsError, match="64 hex digits"):
        session.ensure_home()
    assert not session.home.root.exists()
    monkeypatch.setenv(KEY_VARIABLE, "")
    session.ensure_home()
    assert len(session.home.user_key()) == 32


def test_a_home_without_turns_may_get_its_key_late(session: Session) -> None:
    session.ensure_home()
    session.home.key.unlink()
    session.ensure_home()
    assert len(session.home.user_key()) == 32


def test_the_key_is_a_secret_of_its_owner(session: Session) -> None:
    session.ensure_home()
    assert (session.home.root / "user.key").stat().st_mode & 0o077 == 0
    assert len(session.home.user_key()) == 32


def test_a_lost_key_is_never_replaced(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.ensure_home()
    session.home.key.unlink()
    monkeypatch.setattr("warehouse.query.newest_commit", lambda catalog, table: 1)
    session.ensure_home()
    with pytest.raises(SettingsError, match="restore it from your backup"):
        session.home.user_key()


KEYS = {"too short": "abcd", "no hex": "z" * 64}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_an_unusable_key_is_refused(
    session: Session, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, key)
    with pytest.raises(SettingsError, match="64 hex digits"):
        session.home.user_key()


def test_the_environments_key_comes_first(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.ensure_home()
    monkeypatch.setenv(KEY_VARIABLE, "ab" * 32)
    assert session.home.user_key() == b"\xab" * 32


def test_no_home_says_how_to_make_one(session: Session) -> None:
    with pytest.raises(SettingsError, match="driftmine init"), session.catalog():
        pass


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(MissingExtra, match=r"extra `train` \(torch is not installed\)"):
        need_extra("train", "torch")


CODES = {
    "done": (lambda session: None, 0),
    "the gate held": (lambda session: 3, 3),
    "run it again": (CommitConflict("x"), 1),
    "mend the settings": (SettingsError("x"), 2),
    "the data said no": (QualityLimit("x"), 3),
    "the disk is full": (OSError(28, "No space left on device", "/data/x"), 1),
    "a defect": (ZeroDivisionError("what a user wrote"), 1),
}


@pytest.mark.parametrize("outcome, code", CODES.values(), ids=CODES)
def test_exit_codes(tmp_path: Path, outcome: object, code: int) -> None:
    def work(session: Session) -> int | None:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome(session)

    assert run(tmp_path, as_json=False, quiet=True, work=work) == code


def test_a_defect_says_where_and_quotes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    written = "what a user wrote"

    def work(session: Session) -> None:
        raise ZeroDivisionError(written)

    assert run(tmp_path, as_json=True, quiet=True, work=work) == 1
    captured = capsys.readouterr()
    assert "test_session.py" in captured.err
    assert written not in captured.err + captured.out
    assert json.loads(captured.out)["exit_code"] == 1
