"""Places that a version is published to: a folder, an object store, the Hugging Face Hub.

Hidden files there are nobody's: a copy that was killed half way, or the Hub's own .gitattributes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from training.registry import sha256_of
from warehouse.durable import sync_folder, temporary
from warehouse.errors import DriftmineError, MissingExtra, SettingsError, SourceUnavailable

TOKEN = "HF_TOKEN"
_HUB = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)/?")
_CHUNK = 1 << 20


class Target(Protocol):
    """A place that holds a version's files, or nothing yet. Any method may raise."""

    def names(self) -> set[str]:
        """The files that are there."""
        ...

    def holds(self, name: str, path: Path) -> bool:
        """Whether the file there has the bytes of the one here."""
        ...

    def read(self, name: str) -> bytes:
        """A small file."""
        ...

    def send(self, files: Mapping[str, Path]) -> None:
        """Copy files, each whole or not at all."""
        ...


def open_target(target: str, *, public: bool) -> Target:
    """The place that `target` names. Raises SettingsError, MissingExtra, SourceUnavailable."""
    if target.startswith("hf://"):
        return Hub(target, public=public)
    return Store(target) if "://" in target else Folder(Path(target))


@contextmanager
def reaching(target: str) -> Iterator[None]:
    """Raises SourceUnavailable for whatever a store's client raises: each has errors of its own.

    The text of theirs may quote a request, so its kind must do.
    """
    try:
        yield
    except DriftmineError:
        raise
    except Exception as error:
        raise SourceUnavailable(
            f"{target}: cannot be reached or written to ({type(error).__name__}). Check the "
            "address and your access to it, then run again: what was sent is not sent twice."
        ) from error


class Folder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> set[str]:
        """See `Target`."""
        found = self._root.rglob("*") if self._root.is_dir() else ()
        return _shown(p.relative_to(self._root).as_posix() for p in found if p.is_file())

    def holds(self, name: str, path: Path) -> bool:
        """See `Target`."""
        there = self._root / name
        return there.is_file() and sha256_of(there) == sha256_of(path)

    def read(self, name: str) -> bytes:
        """See `Target`."""
        return (self._root / name).read_bytes()

    def send(self, files: Mapping[str, Path]) -> None:
        """See `Target`."""
        for name, path in files.items():
            there = self._root / name
            there.parent.mkdir(parents=True, exist_ok=True)
            draft = temporary(there)
            try:
                shutil.copyfile(path, draft)
                with draft.open("rb") as file:
                    os.fsync(file.fileno())
                os.replace(draft, there)
            finally:
                draft.unlink(missing_ok=True)
            sync_folder(there.parent)


class Store:
    """A folder of an object store, by its fsspec URL: an object appears when it is whole."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        try:
            self._fs, root = url_to_fs(url.rstrip("/"))
        except ValueError as error:
            raise SettingsError(
                f"{url}: nothing here understands this address. Write a folder, s3://bucket/folder "
                "or hf://owner/name."
            ) from error
        except ImportError as error:
            raise MissingExtra(
                f"{url}: the package that speaks to this store is not installed. Install the "
                "project with the extra `cloud`: pip install '.[cloud]'."
            ) from error
        self._root: str = root.rstrip("/")

    def names(self) -> set[str]:
        """See `Target`."""
        self._fs.invalidate_cache()
        start = len(self._root) + 1
        return _shown(path[start:] for path in self._fs.find(self._root))

    def holds(self, name: str, path: Path) -> bool:
        """See `Target`."""
        digest = hashlib.sha256()
        try:
            with self._fs.open(f"{self._root}/{name}", "rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        except FileNotFoundError:
            return False
        return digest.hexdigest() == sha256_of(path)

    def read(self, name: str) -> bytes:
        """See `Target`."""
        found: bytes = self._fs.cat_file(f"{self._root}/{name}")
        return found

    def send(self, files: Mapping[str, Path]) -> None:
        """See `Target`."""
        for name, path in files.items():
            self._fs.put_file(str(path), f"{self._root}/{name}")
        self._fs.invalidate_cache()


class Hub:
    """A repository on the Hugging Face Hub; private unless it is said otherwise.

    What is there is known by the digests that the Hub itself makes of it: sha256 of large files,
    git's of small ones.
    """

    def __init__(self, target: str, *, public: bool) -> None:
        match = _HUB.fullmatch(target)
        if match is None:
            raise SettingsError(f"{target}: no repository. Write hf://owner/name.")
        token = os.environ.get(TOKEN, "").strip()
        if not token:
            raise SettingsError(
                f"{target}: the environment variable {TOKEN} holds no token. Set it to one that "
                "may write there; it is read for this command alone."
            )
        if importlib.util.find_spec("huggingface_hub") is None:
            raise MissingExtra(
                "Publishing to the Hub needs the extra `train`: pip install '.[train]'."
            )
        from huggingface_hub import HfApi

        self._repo, self._public, self._api = match["repo"], public, HfApi(token=token)
        with reaching(target):
            self._exists = self._found()

    def _found(self) -> bool:
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            info = self._api.repo_info(self._repo)
        except RepositoryNotFoundError:
            return False
        if not info.private and not self._public:
            raise SettingsError(
                f"hf://{self._repo}: is public, and so would the weights be. Make it private, name "
                "another one, or give --public."
            )
        return True

    def names(self) -> set[str]:
        """See `Target`."""
        return _shown(self._api.list_repo_files(self._repo)) if self._exists else set()

    def holds(self, name: str, path: Path) -> bool:
        """See `Target`."""
        found: list[Any] = self._api.get_paths_info(self._repo, [name]) if self._exists else []
        if not found:
            return False
        if found[0].lfs is not None:
            return bool(found[0].lfs.sha256 == sha256_of(path))
        return bool(found[0].blob_id == _git_blob(path))

    def read(self, name: str) -> bytes:
        """See `Target`."""
        with tempfile.TemporaryDirectory() as folder:
            return Path(self._api.hf_hub_download(self._repo, name, local_dir=folder)).read_bytes()

    def send(self, files: Mapping[str, Path]) -> None:
        """See `Target`: one commit."""
        from huggingface_hub import CommitOperationAdd

        if not self._exists:
            self._api.create_repo(self._repo, private=not self._public, exist_ok=True)
            self._exists = self._found()
        self._api.create_commit(
            self._repo,
            [CommitOperationAdd(path_in_repo=n, path_or_fileobj=str(p)) for n, p in files.items()],
            commit_message=f"Add {', '.join(sorted(files))}"[:200],
        )


def _git_blob(path: Path) -> str:
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _shown(names: Any) -> set[str]:
    return {name for name in names if not any(p.startswith(".") for p in name.split("/"))}
