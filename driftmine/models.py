"""The commands `driftmine models`: versions of the policy, and which one is the champion."""

from __future__ import annotations

import msgspec

from driftmine import render
from driftmine.session import Session


def listing(session: Session) -> int:
    """The registered versions."""
    from training import registry

    champion = registry.current(session.home.models, registry.CHAMPION)
    names = reversed(registry.versions(session.home.models))
    manifests = [registry.read(session.home.models, name) for name in names]
    erased = _erased_turns(session)
    session.console.result(
        {"champion": champion, "versions": manifests, "erased_turns": erased},
        lambda: render.versions(manifests, champion, erased),
    )
    return 0


def show(session: Session, version: str) -> int:
    """One version's manifest."""
    from training import registry

    manifest = registry.read(session.home.models, version)
    erased = _erased_turns(session).get(manifest.version, 0)
    session.console.result(
        msgspec.to_builtins(manifest) | {"erased_turns": erased},
        lambda: render.manifest(manifest, erased),
    )
    return 0


def _erased_turns(session: Session) -> dict[str, int]:
    """Version -> turns of its batch whose users were erased since; only those that have any."""
    from warehouse.streams import registered

    if not session.home.warehouse.exists():  # a registry that was copied alone
        return {}
    with session.catalog() as catalog:
        known = registered(catalog)
    return {model.version: model.erased_turns for model in known if model.erased_turns}


def promote(session: Session, version: str) -> int:
    """Move the champion alias to a version that passed its gate."""
    from training import registry

    champion = registry.promote(session.home.models, version, now=session.now)
    return _champion(session, champion)


def rollback(session: Session) -> int:
    """Move the champion alias back."""
    from training import registry

    champion = registry.rollback(session.home.models, now=session.now)
    return _champion(session, champion)


def _champion(session: Session, version: str) -> int:
    session.console.result(
        {"champion": version}, lambda: render.facts("Registry", [("champion", version)])
    )
    return 0
