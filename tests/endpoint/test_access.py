"""Who may be talked to; and that a key is never told."""

import logging

import pytest

from endpoint.access import address, headers
from endpoint.options import EndpointOptions
from tests.chat_server import say, status
from warehouse.errors import SettingsError

KEY = "sk-do-not-tell"

ALLOWED = {
    "https": ("https://api.example.com/v1", "https://api.example.com/v1/chat/completions"),
    "a slash at the end": ("https://h/v1/", "https://h/v1/chat/completions"),
    "no path": ("https://h", "https://h/chat/completions"),
    "this machine": ("http://localhost:8000/v1", "http://localhost:8000/v1/chat/completions"),
    "by its number": ("http://127.0.0.2:1", "http://127.0.0.2:1/chat/completions"),
    "in IPv6": ("http://[::1]:1", "http://[::1]:1/chat/completions"),
}
REFUSED = {
    "in clear to another machine": ("http://judge.example.com/v1", "unencrypted"),
    "a name that only looks local": ("http://localhost.example.com/v1", "unencrypted"),
    "a number of the network": ("http://10.0.0.1/v1", "unencrypted"),
    "a password": (f"https://me:{KEY}@h/v1", "no plain URL"),
    "a key in the query": (f"https://h/v1?key={KEY}", "no plain URL"),
    "no scheme": ("h/v1", "no plain URL"),
    "a file": ("file:///etc/passwd", "no plain URL"),
    "two lines": ("https://h/v1\n", "no plain URL"),
}


@pytest.mark.parametrize("base, url", ALLOWED.values(), ids=ALLOWED)
def test_allowed(base: str, url: str) -> None:
    assert address(EndpointOptions(base_url=base, model="m")) == url


@pytest.mark.parametrize("base, says", REFUSED.values(), ids=REFUSED)
def test_refused(base: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as error:
        address(EndpointOptions(base_url=base, model="m"))
    assert KEY not in str(error.value)


def test_in_clear_where_that_is_said() -> None:
    options = EndpointOptions(base_url="http://10.0.0.1/v1", model="m", allow_http=True)
    assert address(options).startswith("http://10.0.0.1")


INCOMPLETE = {
    "no model": ({"model": ""}, "no model"),
    "no store": ({"store": ""}, "store"),
    "a limit without prices": ({"max_cost": 1.0}, "price_in"),
}


@pytest.mark.parametrize("change, says", INCOMPLETE.values(), ids=INCOMPLETE)
def test_incomplete_options(change: dict, says: str) -> None:
    plain = {"base_url": "https://h/v1", "model": "m"}
    with pytest.raises(SettingsError, match=says):
        address(EndpointOptions(**{**plain, **change}))


NO_KEY = {
    "not set": ("JUDGE_KEY", "", "JUDGE_KEY holds no key"),
    "blank": ("JUDGE_KEY", " \n", "JUDGE_KEY holds no key"),
    "two lines": ("JUDGE_KEY", f"{KEY}\nX-Other: 1", "no key has"),
    "with a space": ("JUDGE_KEY", f"Bearer {KEY}", "no key has"),
    "beyond ASCII": ("JUDGE_KEY", f"{KEY}…", "no key has"),
    "the key in place of its name": (KEY, "", "may be the key itself"),
}


@pytest.mark.parametrize("name, value, says", NO_KEY.values(), ids=NO_KEY)
def test_a_key_that_is_none(monkeypatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv("JUDGE_KEY", value)
    with pytest.raises(SettingsError, match=says) as error:
        headers(EndpointOptions(api_key_env=name))
    assert KEY not in str(error.value)


def test_white_space_around_a_key_is_none_of_it(monkeypatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", f"{KEY}\n")
    options = EndpointOptions(api_key_env="JUDGE_KEY")
    assert headers(options) == {"Authorization": f"Bearer {KEY}"}


def test_the_key_is_told_to_nobody_else(serve, asker, monkeypatch, caplog, capfd, tmp_path) -> None:
    """Not in logs at their most talkative, not in a repr, not in the store."""
    monkeypatch.setenv("JUDGE_KEY", KEY)
    server = serve(say('{"colour": "red"}'), status(401), status(500))
    with caplog.at_level(logging.DEBUG):
        judge = asker(server, api_key_env="JUDGE_KEY", attempts=2)
        answers = judge.ask(["1", "2", "3"])
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    told = [caplog.text, *capfd.readouterr(), repr(judge), repr(vars(judge)), repr(answers)]
    told += [repr(vars(judge._transport)), repr(judge._transport._http.headers)]
    assert KEY not in "".join(told)
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.iterdir())
