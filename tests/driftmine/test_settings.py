"""Settings are typed, and refuse the unknown aloud."""

import re
from pathlib import Path

import msgspec
import pytest

from driftmine.home import TEMPLATE
from driftmine.settings import Settings, keys, load
from warehouse.errors import SettingsError

DOC = Path(__file__).parents[2] / "docs" / "settings.md"

REFUSED = {
    "misspelt key": ("[mining]\ntreshold = 0.5", "[mining] has unknown key treshold; did you mean"),
    "misspelt section": ("[minning]\n", "the top level has unknown key minning; did you mean"),
    "nested": ("[training.gate]\nmax_k = 1", "[training.gate] has unknown key max_k; did you mean"),
    "nothing near": ("[mining]\nzzz = 1", "known: detector"),
    "wrong type": ('[training]\nmax_turns = "many"', "[training] max_turns: input should be"),
    "out of bounds": ("[mining]\nthreshold = 3", "[mining] threshold: input should be less"),
    "no language": ('[training.selection]\nlanguages = ["english"]', "should have at most 2"),
    "unknown method": ('[training]\nmethod = "ppo"', "[training] method: input should be 'drift'"),
    "broken TOML": ("[mining", "is no valid TOML"),
}


@pytest.mark.parametrize("text, says", REFUSED.values(), ids=REFUSED)
def test_refused_settings_say_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "driftmine.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "driftmine.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="no valid TOML"):
        load(path)


def test_no_file_means_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml") == Settings()


def test_the_shipped_template_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "driftmine.toml"
    path.write_text(TEMPLATE)
    assert load(path).training.max_turns == 128


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "driftmine.toml"
    path.write_text("[training]\nmax_turns = 10\nmin_turns = 3\n")
    monkeypatch.setenv("DRIFTMINE_TRAINING__MAX_TURNS", "20")
    settings = load(path)
    assert (settings.training.max_turns, settings.training.min_turns) == (20, 3)


def test_the_judges_stores_start_at_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "driftmine.toml"
    path.write_text('[mining.judge]\nbase_url = "https://h/v1"\n[training.judge]\nstore = "a.db"\n')
    monkeypatch.setenv("DRIFTMINE_TRAINING__JUDGE__BASE_URL", "https://i/v1")
    monkeypatch.setenv("DRIFTMINE_TRAINING__JUDGE__MAX_FAILED_SHARE", "0.2")
    settings = load(path)
    assert settings.mining.judge.store == str(tmp_path / "judge.sqlite")
    assert settings.training.judge.store == str(tmp_path / "a.db")
    assert settings.training.judge.max_failed_share == 0.2


def test_folders_of_the_home_are_known_by_their_paths(tmp_path: Path) -> None:
    path = tmp_path / "driftmine.toml"
    (tmp_path / "own").mkdir()
    path.write_text('[training]\npolicy = "own"\ntrust_remote_code = ["own", "org/own"]\n')
    training = load(path).training
    assert training.policy == str(tmp_path / "own")
    assert training.trust_remote_code == (str(tmp_path / "own"), "org/own")


def test_the_store_of_samples_lies_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTMINE_TRAINING__SAMPLER", "endpoint")
    monkeypatch.setenv("DRIFTMINE_TRAINING__ENDPOINT__BASE_URL", "http://127.0.0.1:8000/v1")
    training = load(tmp_path / "driftmine.toml").training
    assert training.sampler == "endpoint"
    assert training.endpoint.store == str(tmp_path / "samples.sqlite")


def test_variables_reach_into_sections_of_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"LANGUAGES": '["en", "de"]', "PER_USER": "0", "FRESH_DAYS": "7", "STRATIFY": "model"}
    for name, value in said.items():
        monkeypatch.setenv(f"DRIFTMINE_TRAINING__SELECTION__{name}", value)
    monkeypatch.setenv("DRIFTMINE_TRAINING__POLICY", "[not JSON")
    training = load(Path("none.toml")).training
    assert training.selection.languages == ("en", "de")
    assert (training.selection.per_user, training.selection.fresh_days) == (0, 7)
    assert (training.selection.stratify, training.policy) == ("model", "[not JSON")


def test_every_setting_is_documented_with_its_default() -> None:
    documented = dict(re.findall(r"^\| `([\w.]+)` \| `(.*?)` \|", DOC.read_text(), re.MULTILINE))
    settings = Settings()
    expected = {}
    for section, key in keys():
        value = settings
        for name in (*section.split("."), key):
            value = getattr(value, name)
        expected[f"{section}.{key}"] = repr(msgspec.to_builtins(value))
    assert documented == expected
