"""The home folder: one place for settings, warehouse, models and reports."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.durable import temporary, write_whole
from warehouse.errors import CommitConflict, SettingsError

if TYPE_CHECKING:
    from driftmine.settings import WarehouseOptions

KEY_VARIABLE = "DRIFTMINE_USER_KEY"
_KEY_BYTES = 32

# What a first night needs on a laptop: every value that differs from the defaults, and why.
TEMPLATE = """\
# Driftmine's settings. What is left out has its default; an unknown key is refused.
# Every setting, with its meaning: docs/settings.md.

[nightly]
# Paths, folders, globs or URLs that `driftmine nightly` reads where the command names none;
# "logs/{date}/*.jsonl.gz" also says which night a log counts to.
logs = []

[ingestion]
format = "auto"            # or one of docs/formats.md; [ingestion.mapping] for one of your own
opt_out_users = ""         # file of users' ids, one a line, who are never trained on
max_reject_share = 0.2     # more rejected lines than this: nothing is published, exit code 3

[mining]
detector = "default"

[training]
# Folder or name of a Hugging Face model. "" is a tiny policy that `driftmine init` makes:
# it shows the loop at work within a minute on two cores, and writes no sense.
policy = ""
min_turns = 32             # fewer fresh trainable turns: no update tonight
max_turns = 128
holdout = 0.2              # a new home has few conversations, and the gate wants 8 pairs held out
# The values below suit the tiny policy. For a model of your own delete them: the defaults are
# those of the paper (docs/training.md).
max_prompt_tokens = 384
max_new_tokens = 64
keep_cut_off = true        # it hardly ever ends an answer
max_length = 512
batch_size = 8
learning_rate = 2e-6

[training.gate]
# A byte is a token to the tiny policy, so max_length cuts most answers; and it has no idea of
# what users like, so its log-probability of that moves at random.
max_cut_share = 1.0
max_satisfied_drop = 1.0

[warehouse]
catalog_url = ""           # "" is SQLite in this folder
data_url = ""              # "" is this folder too; s3://bucket/folder puts the data files there
retention_days = 30        # how long replaced files are kept, for `sql --as-of` and rollbacks
"""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths inside the home folder."""

    root: Path
    environment: bool = True  # whether its variable may hold the key for user ids

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.root / "driftmine.toml"

    @property
    def warehouse(self) -> Path:
        """The warehouse's folder; analysts open warehouse.duckdb in it."""
        return self.root / "warehouse"

    @property
    def models(self) -> Path:
        """The model registry."""
        return self.root / "models"

    @property
    def policy(self) -> Path:
        """The tiny policy that training starts from where no other is named."""
        return self.root / "policy"

    @property
    def reports(self) -> Path:
        """One HTML page a night."""
        return self.root / "reports"

    @property
    def key(self) -> Path:
        """The secret that user ids are hashed with, unless the environment holds it."""
        return self.root / "user.key"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other nightly runs out of this home. Raises CommitConflict where one is at work.

        The system lets go of it where the process is killed.
        """
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.root / "nightly.lock", blocking=False):
                yield
        except Timeout:
            raise CommitConflict(
                f"{self.root}: another nightly run is at work in this home. Nothing was done; "
                "wait for it to end, then run again if anything is left to do."
            ) from None

    def given_key(self) -> str:
        """The environment's key for user ids; "": it holds none, or none for this home."""
        return os.environ.get(KEY_VARIABLE, "") if self.environment else ""

    def user_key(self) -> bytes:
        """The secret under which user ids are hashed: the environment's, else the home's.

        Raises SettingsError where there is none, or one that is not 64 hex digits.
        """
        text = self.given_key() or (self.key.read_text() if self.key.exists() else "")
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != _KEY_BYTES:
            raise SettingsError(
                f"No usable key for user ids: {KEY_VARIABLE} or {self.key} must hold "
                f"{2 * _KEY_BYTES} hex digits. In a new home `driftmine init` makes one; "
                "in one that had it, restore it from your backup: with another key the same user "
                "gets another name."
            )
        return key


def create(home: Home, options: WarehouseOptions) -> list[str]:
    """Make what the home lacks, and change nothing that is there. Returns what was made.

    Raises SettingsError where the environment's key for user ids is unusable.
    """
    from warehouse.catalog import Catalog
    from warehouse.query import newest_commit

    if home.given_key():
        home.user_key()
    made = []
    home.root.mkdir(parents=True, exist_ok=True)
    if not home.settings.exists():
        write_whole(home.settings, TEMPLATE.encode())
        made.append("driftmine.toml")
    if not home.warehouse.exists():
        made.append("warehouse/")
    catalog = Catalog.open(home.warehouse, options.catalog_url, options.data_url)
    # Never a new key beside old turns: users would silently change their names.
    first = newest_commit(catalog, "turns") == 0
    catalog.close()
    if first and not home.key.exists() and not home.given_key():
        _write_secret(home.key, secrets.token_hex(_KEY_BYTES) + "\n")
        made.append("user.key")
    return made


def make_policy(home: Home) -> list[str]:
    """Make the tiny policy where there is none, whole or not at all. Returns what was made."""
    if home.policy.exists():
        return []
    from training.tiny import make

    draft = temporary(home.policy)
    make(draft, seed=0)
    draft.rename(home.policy)
    return ["policy/"]


def _write_secret(path: Path, text: str) -> None:
    """Whole or not at all, and for its owner's eyes only from the first byte."""
    draft = temporary(path)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
