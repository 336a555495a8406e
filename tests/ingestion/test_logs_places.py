import datetime as dt
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.logs import places
from ingestion.logs.places import check_unchanged, continues, digest, find
from warehouse.errors import SettingsError, SourceUnavailable

NIGHT = dt.date(2026, 11, 20)
FILES = (
    "in/b.jsonl", "in/a.jsonl.gz", "in/c.json.zst", "in/d.parquet", "in/notes.txt",
    "in/deep/c.jsonl", "other/b.jsonl",
    "days/2026-11-19/chat.jsonl", "days/2026-11-20/chat.jsonl", "days/2026-11-20/api.jsonl",
    "days/2026-02-30/chat.jsonl", "days/latest/chat.jsonl",
    "flat/2026-11-19_of_2026-11-19.jsonl", "flat/2026-11-19_of_2026-11-20.jsonl",
)  # fmt: skip


@pytest.fixture
def logs(tmp_path, monkeypatch) -> Path:
    home = tmp_path / "it's 100% [new]"
    for name in FILES:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(home)
    return home


def _names(home: Path, *given: str, **options) -> list[str]:
    return [str(Path(file.name).relative_to(home)) for file in find(given, **options)]


GIVEN = {
    "a file": (["in/b.jsonl"], ["in/b.jsonl"]),
    "a file of another name": (["in/notes.txt"], ["in/notes.txt"]),
    "a folder means its logs": (
        ["in"],
        ["in/a.jsonl.gz", "in/b.jsonl", "in/c.json.zst", "in/d.parquet"],
    ),
    "a pattern": (["in/*.jsonl"], ["in/b.jsonl"]),
    "a deep pattern": (["**/b.jsonl"], ["in/b.jsonl", "other/b.jsonl"]),
    "a deep pattern is also no folder deep": (["in/**/*.jsonl"], ["in/b.jsonl", "in/deep/c.jsonl"]),
    "a pattern in the middle": (["*/deep/*.jsonl"], ["in/deep/c.jsonl"]),
    "all below": (["other/**"], ["other/b.jsonl"]),
    "a folder that matches means its logs": (["oth*"], ["other/b.jsonl"]),
    "a character class": (["in/[bc].jsonl"], ["in/b.jsonl"]),
    "one file twice is one": (
        ["in/b.jsonl", "./in//b.jsonl", "in/deep/../*.jsonl"],
        ["in/b.jsonl"],
    ),
    "one basename in two folders": (["in/b.jsonl", "other"], ["in/b.jsonl", "other/b.jsonl"]),
}


@pytest.mark.parametrize("given, names", GIVEN.values(), ids=GIVEN)
def test_find(given, names, logs):
    assert _names(logs, *given) == names


def test_find_takes_file_urls_as_paths(logs):
    assert _names(logs, f"file://{logs}/in/b.jsonl") == ["in/b.jsonl"]


def test_find_prefers_a_file_whose_name_looks_like_a_pattern(logs):
    (logs / "in/[b].jsonl").write_text("x")
    assert _names(logs, "in/[b].jsonl") == ["in/[b].jsonl"]


def test_find_describes_the_file_and_does_not_read_it(logs):
    (file,) = find(["in/b.jsonl"])
    state = os.stat("in/b.jsonl")
    assert file == places.LogFile(
        str(logs / "in/b.jsonl"), len("in/b.jsonl"), str(state.st_mtime_ns), None, ""
    )


TEMPLATES = {
    "the night that is asked for": (
        "days/{date}/chat.jsonl", NIGHT, {"days/2026-11-20/chat.jsonl": NIGHT},
    ),
    "with a wildcard": (
        "days/{date}/*.jsonl", NIGHT,
        {"days/2026-11-20/api.jsonl": NIGHT, "days/2026-11-20/chat.jsonl": NIGHT},
    ),
    "a folder": (
        "days/{date}", NIGHT,
        {"days/2026-11-20/api.jsonl": NIGHT, "days/2026-11-20/chat.jsonl": NIGHT},
    ),
    "every date, and no other name or date that is none": (
        "days/{date}/chat.jsonl", None,
        {
            "days/2026-11-19/chat.jsonl": dt.date(2026, 11, 19),
            "days/2026-11-20/chat.jsonl": NIGHT,
        },
    ),
    "one date twice": (
        "flat/{date}_of_{date}.jsonl", None,
        {"flat/2026-11-19_of_2026-11-19.jsonl": dt.date(2026, 11, 19)},
    ),
    "no template says no date": ("in/b.jsonl", NIGHT, {"in/b.jsonl": None}),
}  # fmt: skip


@pytest.mark.parametrize("given, log_date, dated", TEMPLATES.values(), ids=TEMPLATES)
def test_templates(given, log_date, dated, logs):
    files = find([given], log_date=log_date)
    assert {str(Path(file.name).relative_to(logs)): file.log_date for file in files} == dated


def test_a_date_that_a_path_says_is_not_lost_to_another_way_to_name_the_file(logs):
    (file,) = find(["days/2026-11-20/chat.jsonl", "days/{date}/chat.jsonl"], log_date=NIGHT)
    assert file.log_date == NIGHT


def test_find_names_everything_that_is_wrong_at_once(logs, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, _: not str(path).endswith("b.jsonl"))
    (logs / "empty").mkdir()
    os.mkfifo("in/pipe.jsonl")
    with pytest.raises(SourceUnavailable) as caught:
        find(["gone.jsonl", "in", "*.nothing", "empty", "days/x{date}.jsonl", "gone/*.jsonl"])
    listed = [line.strip() for line in str(caught.value).splitlines() if line.startswith("  ")]
    assert sorted(listed) == [
        "*.nothing: no logs there",
        "days/x{date}.jsonl: no logs there",
        "empty: no logs there",
        "gone.jsonl: No such file or directory",
        "gone/*.jsonl: no logs there",
        "in/b.jsonl: Permission denied",
        "in/pipe.jsonl: no regular file",
    ]
    assert "run again" in str(caught.value)


@pytest.fixture
def memory():
    """Files of the store that fsspec keeps in memory; forgotten afterwards."""
    from fsspec.implementations.memory import MemoryFileSystem

    store = MemoryFileSystem()
    yield store.pipe_file
    store.store.clear()
    store.pseudo_dirs[:] = [""]


IN_MEMORY = {
    "a file": ("memory://in/b.jsonl", ["in/b.jsonl"]),
    "a folder": ("memory://in", ["in/a.parquet", "in/b.jsonl"]),
    "a pattern": ("memory://in/*.jsonl", ["in/b.jsonl"]),
    "a deep pattern": ("memory://**/b.jsonl", ["deep/er/b.jsonl", "in/b.jsonl"]),
    "a template": ("memory://days/{date}.jsonl", ["days/2026-11-20.jsonl"]),
}


@pytest.mark.parametrize("given, names", IN_MEMORY.values(), ids=IN_MEMORY)
def test_find_in_a_store(given, names, memory):
    for name in ("in/a.parquet", "in/b.jsonl", "in/c.txt", "deep/er/b.jsonl",
                 "days/2026-11-20.jsonl", "days/2026-13-20.jsonl"):  # fmt: skip
        memory(f"/{name}", b"{}")
    files = find([given])
    assert [file.name for file in files] == [f"memory:///{name}" for name in names]
    assert all(file.size == 2 and file.stamp.isdigit() for file in files)
    assert [file.log_date for file in files] == [NIGHT if "days" in given else None] * len(names)


def test_a_store_shows_what_is_missing(memory):
    with pytest.raises(SourceUnavailable, match=r"memory://gone\.jsonl: No such file"):
        find(["memory://gone.jsonl"])


def test_a_missing_package_is_named():
    with pytest.raises(SettingsError, match="oss:// URLs need .* install ossfs"):
        find(["oss://bucket/a.jsonl"])


def test_an_unknown_protocol_is_a_setting_to_mend():
    with pytest.raises(SettingsError, match="nonsense://"):
        find(["nonsense://bucket/a.jsonl"])


def test_digest(logs):
    (file,) = find(["in/b.jsonl"])
    assert digest(file).sha256 == hashlib.sha256(b"in/b.jsonl").hexdigest()


def test_digest_of_a_file_that_is_gone(logs):
    (file,) = find(["in/b.jsonl"])
    os.unlink("in/b.jsonl")
    with pytest.raises(SourceUnavailable, match=r"b\.jsonl cannot be read: No such file"):
        digest(file)


@given(before=st.binary(max_size=50), now=st.binary(max_size=50))
def test_continues_means_begins_with(before, now, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "grown.jsonl"
    path.write_bytes(now)
    (file,) = find([str(path)])
    same = continues(file, size=len(before), sha256=hashlib.sha256(before).hexdigest())
    assert same == now.startswith(before)
    path.write_bytes(before + now)
    (file,) = find([str(path)])
    assert continues(file, size=len(before), sha256=hashlib.sha256(before).hexdigest())


def _append() -> None:
    with open("in/b.jsonl", "a") as file:
        file.write("and more")


def _touch() -> None:
    os.utime("in/b.jsonl", ns=(1, 1))


def _link_elsewhere() -> None:
    os.rename("in/b.jsonl", "in/moved.jsonl")
    os.symlink("moved.jsonl", "in/b.jsonl")


CHANGES = {
    "grown": _append,
    "written anew": _touch,
    "gone": lambda: os.unlink("in/b.jsonl"),
    "a link instead": _link_elsewhere,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_that_changes_meanwhile_is_noticed(change, logs):
    files = find(["in"])
    check_unchanged(files)
    change()
    with pytest.raises(SourceUnavailable, match=r"in/b\.jsonl changed"):
        check_unchanged(files)


def test_a_name_that_is_no_unicode_is_refused_and_can_be_printed(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.jsonl")).touch()
    with pytest.raises(SourceUnavailable, match="its name is no UTF-8") as raised:
        find([str(tmp_path)])
    assert str(raised.value).encode()
