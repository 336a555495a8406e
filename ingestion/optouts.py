"""The list of users who opted out: read by every command that what they said may train."""

from __future__ import annotations

from pathlib import Path

from ingestion.hashes import user_key
from ingestion.options import IngestionOptions
from warehouse import barred
from warehouse.catalog import Catalog
from warehouse.errors import SettingsError


def take_opt_outs(catalog: Catalog, options: IngestionOptions, secret: bytes) -> None:
    """Put the list into the catalog, where mining and leasing ask it; none is set: leave it.

    `secret`: the key of users' hashes. Raises SettingsError where it cannot be read.
    """
    if not options.opt_out_users:
        return
    try:
        users = Path(options.opt_out_users).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"[ingestion] opt_out_users: {options.opt_out_users} cannot be read "
            f"({type(error).__name__}). It must hold users' ids, one a line; nothing was done, "
            "for their turns must not be trained on."
        ) from error
    keys = {user_key(user.strip(), secret) for user in users if user.strip()}
    barred.set_opted_out(catalog, keys)
