"""What `find` refuses although it is there: what leads away, and URLs that hold secrets."""

import datetime as dt
from pathlib import Path

import pytest

from ingestion.logs.places import find
from warehouse.errors import SettingsError, SourceUnavailable

NIGHT = dt.date(2026, 11, 20)


@pytest.fixture
def logs(tmp_path, monkeypatch) -> Path:
    home = tmp_path / "logs"
    for name in ("in/b.jsonl", "in/deep/c.jsonl", "other/b.jsonl", "days/2026-11-20/chat.jsonl"):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def memory():
    """Files of the store that fsspec keeps in memory; forgotten afterwards."""
    from fsspec.implementations.memory import MemoryFileSystem

    store = MemoryFileSystem()
    yield store.pipe_file
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.fixture
def outside(logs, tmp_path) -> Path:
    """A folder beside the logs; links in the logs lead to it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.jsonl").write_text("{}")
    (logs / "links").mkdir()
    (logs / "links/file.jsonl").symlink_to(folder / "secret.jsonl")
    (logs / "links/folder").symlink_to(folder)
    (logs / "links/2026-11-20").symlink_to(folder)
    (logs / "links/within.jsonl").symlink_to(logs / "links/real.jsonl")
    (logs / "links/real.jsonl").write_text("{}")
    return folder


LEADING_OUT = {
    "a link in a folder": "links",
    "a link that a pattern matches": "links/f*.jsonl",
    "a linked folder that a pattern matches": "links/fold*/*.jsonl",
    "a linked folder below": "links/**/secret.jsonl",
    "a linked folder as the match": "links/fold*",
    "a template": "links/{date}/secret.jsonl",
    "a template of a folder": "links/{date}",
    "dots behind a wildcard": "links/*/../../in/b.jsonl",
    "dots behind a date": "days/{date}/../../in/b.jsonl",
}


@pytest.mark.parametrize("log_date", [None, NIGHT], ids=["every date", "one date"])
@pytest.mark.parametrize("given", LEADING_OUT.values(), ids=LEADING_OUT)
def test_what_leads_out_of_the_folder_that_was_named_is_refused(given, log_date, outside):
    with pytest.raises(SourceUnavailable, match="leads out of"):
        find([given], log_date=log_date)


def test_a_link_that_stays_within_is_followed_and_counted_once(logs, outside):
    (logs / "links/file.jsonl").unlink()
    assert [file.name for file in find(["links"])] == [str(logs / "links/real.jsonl")]


def test_a_link_that_a_person_named_is_followed(logs, outside):
    (file,) = find(["links/file.jsonl"])
    assert file.name == str(outside / "secret.jsonl")


def test_links_in_circles_come_to_an_end(logs):
    for name in ("in/self", "in/deep/up", "in/deep/again"):
        (logs / name).symlink_to(logs / "in")
    assert [file.name for file in find(["in/**/c.jsonl"])] == [str(logs / "in/deep/c.jsonl")]


OUTSIDE_ROOTS = {
    "a file": "other/b.jsonl",
    "a pattern": "other/*.jsonl",
    "a folder": "other",
    "a way around": "in/../other/b.jsonl",
    "a folder whose name begins like a root's": "in2/a.jsonl",
    "a link": "in/link.jsonl",
    "a URL": "memory://logs/a.jsonl",
    "a file URL": "file:///etc/hostname",
}


@pytest.mark.parametrize("given", OUTSIDE_ROOTS.values(), ids=OUTSIDE_ROOTS)
def test_files_outside_of_the_roots_are_refused(given, logs, memory):
    (logs / "in/link.jsonl").symlink_to(logs / "other/b.jsonl")
    (logs / "in2").mkdir()
    (logs / "in2/a.jsonl").touch()
    memory("/logs/a.jsonl", b"{}")
    with pytest.raises(SourceUnavailable, match="lies in none of the roots"):
        find([given], roots=["in", "memory://other"])


def test_files_in_the_roots_are_found(logs, memory):
    memory("/other/a.jsonl", b"{}")
    files = find(["in/*.jsonl", "memory://other"], roots=["./in/", "memory://other/"])
    assert [file.name for file in files] == [str(logs / "in/b.jsonl"), "memory:///other/a.jsonl"]


SECRETS = {
    "a password": "ftp://ada:hunter2@host/logs/a.jsonl",
    "a key with a slash": "s3://key:hun/ter2@bucket/a.jsonl",
    "a token as user": "https://hunter2@host/a.jsonl",
    "a signature": "https://host/a.jsonl?X-Amz-Signature=hunter2",
    "a query in another store": "az://box/a.jsonl?sig=hunter2",
}


@pytest.mark.parametrize("url", SECRETS.values(), ids=SECRETS)
def test_a_url_with_a_secret_is_refused_and_not_repeated(url):
    with pytest.raises(SourceUnavailable, match="no password and no query") as caught:
        find([url])
    assert "hunter2" not in str(caught.value) and "ter2" not in str(caught.value)
    with pytest.raises(SettingsError, match="can be no root") as caught:
        find([], roots=[url])
    assert "hunter2" not in str(caught.value) and "ter2" not in str(caught.value)


REFUSED_URLS = {
    "a chain": ("simplecache::memory://in/a.jsonl", "chained"),
    "a way up": ("memory://in/../a.jsonl", "without '..'"),
}


@pytest.mark.parametrize("url, why", REFUSED_URLS.values(), ids=REFUSED_URLS)
def test_urls_that_are_refused(url, why):
    with pytest.raises(SourceUnavailable, match=why):
        find([url])
