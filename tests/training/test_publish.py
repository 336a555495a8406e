"""Publishing: whole or visibly not, never over another version, never the turns of users."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tests.training.registering import HELD, REPORT, register
from training import registry, targets
from training.publish import Words, publish
from warehouse.errors import PolicyUnusable, SettingsError, SourceUnavailable

OWN = {"README.md", "manifest.json", "model.safetensors"}
Read = Callable[[], dict[str, bytes]]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture(params=["folder", "memory", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Read]]:
    """A place, and what is in it."""
    if request.param == "folder":
        folder = tmp_path / "target"
        yield str(folder), lambda: {p.name: p.read_bytes() for p in folder.iterdir()}
        return
    if request.param == "s3":
        request.getfixturevalue("s3_bucket")
    url = {"memory": "memory://published/x", "s3": "s3://warehouse/x"}[request.param]
    fs, root = fsspec.core.url_to_fs(url)

    def read() -> dict[str, bytes]:
        fs.invalidate_cache()
        return {path.rpartition("/")[2]: fs.cat_file(path) for path in fs.find(root)}

    yield url, read
    if request.param == "memory":
        fs.rm(root, recursive=True)


def test_what_arrives_is_the_version_and_nothing_else(
    models: Path, target: tuple[str, Read]
) -> None:
    url, read = target
    version = register(models, "default-000001", extra={"trainer_state.json": b"{}", "own.py": b""})
    done = publish(models, version, url, Words())
    assert (done.version, done.sent, done.turns) == (version, 3, 2)
    assert done.left_out == ("own.py", "trainer_state.json")
    found = read()
    assert found.keys() == OWN
    assert found["model.safetensors"] == b"default-000001"
    shown = json.loads(found["manifest.json"])
    assert shown["turns"] == 2 and "turn_ids" not in shown
    assert shown["files"] == {n: hashlib.sha256(found[n]).hexdigest() for n in shown["files"]}
    sealed = registry.folder(models, version) / "manifest.json"
    assert shown["registered_sha256"] == registry.sha256_of(sealed)
    assert publish(models, version, url, Words()).sent == 0, "once is enough"


def test_lineage_leaves_the_house_only_where_that_is_said(
    models: Path, target: tuple[str, Read]
) -> None:
    url, read = target
    version = register(models, "default-000001")
    publish(models, version, url, Words())
    assert publish(models, version, url, Words(with_lineage=True)).sent == 1
    assert json.loads(read()["manifest.json"])["turn_ids"] == ["a", "b"]


def test_another_version_is_not_written_over(models: Path, target: tuple[str, Read]) -> None:
    url, read = target
    one, two = register(models, "default-000001"), register(models, "default-000002")
    publish(models, one, url, Words())
    before = read()
    with pytest.raises(SettingsError, match=f"holds {one} already.*empty target"):
        publish(models, two, url, Words())
    assert read() == before


def test_a_place_that_holds_something_else_is_left_alone(models: Path, tmp_path: Path) -> None:
    version = register(models, "default-000001")
    (tmp_path / "mine").mkdir()
    for name in ("model.safetensors", "notes.txt"):
        (tmp_path / "mine" / name).write_bytes(b"mine")
    with pytest.raises(SettingsError, match=r"holds other files \(model.safetensors, notes.txt\)"):
        publish(models, version, str(tmp_path / "mine"), Words())


def test_a_copy_that_was_killed_is_no_version_and_goes_on(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, folder = register(models, "default-000001"), tmp_path / "target"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(targets, "sync_folder", _second_time())
        publish(models, version, str(folder), Words())
    assert not (folder / "manifest.json").exists()
    assert publish(models, version, str(folder), Words()).sent < 3
    assert {p.name for p in folder.iterdir()} == OWN


def test_bytes_that_change_on_the_way_are_seen(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, folder = register(models, "default-000001"), tmp_path / "target"
    monkeypatch.setattr(targets.shutil, "copyfile", lambda _, there: there.write_bytes(b"?"))
    with pytest.raises(SourceUnavailable, match=r"model.safetensors arrived with other bytes"):
        publish(models, version, str(folder), Words())
    assert not (folder / "manifest.json").exists()


def test_what_the_gate_held_needs_a_word(models: Path, tmp_path: Path) -> None:
    version = register(models, "default-000001", REPORT | {"promoted": False, "gate": HELD})
    with pytest.raises(PolicyUnusable, match=r"held by its gate \(kl: 9.8\).*--held"):
        publish(models, version, str(tmp_path / "t"), Words())
    assert publish(models, version, str(tmp_path / "t"), Words(held=True)).sent == 3


def test_what_was_changed_does_not_leave(models: Path, tmp_path: Path) -> None:
    version = register(models, "default-000001")
    (registry.folder(models, version) / "model.safetensors").write_bytes(b"other")
    with pytest.raises(PolicyUnusable, match="model.safetensors: changed"):
        publish(models, version, str(tmp_path / "t"), Words())
    assert not (tmp_path / "t").exists()


TARGETS = {
    "unknown store": ("gopher://x/y", SettingsError, "nothing here understands"),
    "no repository": ("hf://owner", SettingsError, "Write hf://owner/name"),
    "a store that is not there": ("s3://none/x", SourceUnavailable, "cannot be reached"),
}


@pytest.mark.parametrize("target, error, says", TARGETS.values(), ids=TARGETS)
def test_targets_that_cannot_be_meant(
    target: str, error: type[Exception], says: str, models: Path, s3_bucket: object
) -> None:
    version = register(models, "default-000001")
    with pytest.raises(error, match=says):
        publish(models, version, target, Words())


class FakeHub:
    """The calls of HfApi that are used, and one repository."""

    def __init__(self, private: bool | None = None) -> None:
        self.private = private  # None: there is no repository
        self.files: dict[str, bytes] = {".gitattributes": b""}
        self.commits: list[list[str]] = []

    def repo_info(self, repo: str) -> Any:
        from huggingface_hub.errors import RepositoryNotFoundError

        if self.private is None:
            raise RepositoryNotFoundError.__new__(RepositoryNotFoundError)
        return type("Info", (), {"private": self.private})

    def create_repo(self, repo: str, *, private: bool, exist_ok: bool) -> None:
        self.private = private

    def list_repo_files(self, repo: str) -> list[str]:
        return list(self.files)

    def get_paths_info(self, repo: str, paths: list[str]) -> list[Any]:
        from huggingface_hub.hf_api import RepoFile

        return [
            RepoFile(path=name, size=len(data), oid=_git(data), lfs=_lfs(name, data))
            for name, data in self.files.items()
            if name in paths
        ]

    def create_commit(self, repo: str, operations: list[Any], *, commit_message: str) -> None:
        self.commits.append([operation.path_in_repo for operation in operations])
        for one in operations:
            self.files[one.path_in_repo] = Path(one.path_or_fileobj).read_bytes()

    def hf_hub_download(self, repo: str, name: str, *, local_dir: str) -> str:
        (Path(local_dir) / name).write_bytes(self.files[name])
        return str(Path(local_dir) / name)


def _git(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _lfs(name: str, data: bytes) -> dict[str, Any] | None:
    if not name.endswith(".safetensors"):
        return None
    return {"size": len(data), "oid": hashlib.sha256(data).hexdigest(), "pointerSize": 9}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeHub]:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    def make(private: bool | None = None) -> FakeHub:
        fake = FakeHub(private)
        monkeypatch.setattr("huggingface_hub.HfApi", lambda token: fake)
        return fake

    return make


def test_the_hub_gets_files_first_and_is_private(models: Path, hub: Any) -> None:
    fake, version = hub(), register(models, "default-000001")
    done = publish(models, version, "hf://owner/name", Words())
    assert fake.private is True
    assert fake.commits == [["README.md", "model.safetensors"], ["manifest.json"]]
    assert done.sent == 3
    assert publish(models, version, "hf://owner/name", Words()).sent == 0
    with pytest.raises(SettingsError, match=f"holds {version} already"):
        publish(models, register(models, "default-000002"), "hf://owner/name", Words())


def test_a_public_repository_needs_a_word(models: Path, hub: Any) -> None:
    fake, version = hub(private=False), register(models, "default-000001")
    with pytest.raises(SettingsError, match="is public.*--public"):
        publish(models, version, "hf://owner/name", Words())
    assert fake.commits == []
    assert publish(models, version, "hf://owner/name", Words(public=True)).sent == 3


def test_the_hub_is_not_called_without_a_token(
    models: Path, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, version = hub(), register(models, "default-000001")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(SettingsError, match="HF_TOKEN holds no token"):
        publish(models, version, "hf://owner/name", Words())
    assert fake.private is None


def test_the_hub_s_refusal_tells_no_secret(
    models: Path, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, version = hub(private=True), register(models, "default-000001")
    monkeypatch.setattr(fake, "create_commit", _refuse)
    with pytest.raises(SourceUnavailable, match=r"cannot be reached .*\(PermissionError\)") as got:
        publish(models, version, "hf://owner/name", Words())
    assert "hf_secret" not in str(got.value)


def _refuse(*_: object, **__: object) -> None:
    raise PermissionError("Bearer hf_secret")


def _second_time() -> Callable[[Path], None]:
    calls: list[Path] = []

    def stop(folder: Path) -> None:
        calls.append(folder)
        if len(calls) == 2:
            raise KeyboardInterrupt

    return stop
