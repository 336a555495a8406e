"""A warehouse that has rows in every view."""

import datetime as dt
import re
from pathlib import Path

import pytest

from warehouse.leases import acquire, finish
from warehouse.manifest import ModelVersion
from warehouse.records import (
    Category,
    Evidence,
    Message,
    ReasonCode,
    Reject,
    Role,
    SeedPair,
    SignalKind,
    SystemPrompt,
)
from warehouse.selection import Wanted

SMALL = {"detector": "small", "detector_version": "7"}
LAST_WEEK = dt.date(2026, 11, 12)


@pytest.fixture(scope="module")
def filled(new_store, tmp_path_factory):
    """A conversation whose first answer was complained about and whose second pleased, in each of
    two weeks.

    The later one was judged by two detectors, belongs to a cluster, and has trained a model; one
    record could not be read.
    """
    store = new_store(tmp_path_factory.mktemp("filled"))
    told = {"conversation_id": "conversation-2", "origin_offset": 0}
    turns = [store.turn(i, turn_index=i, **told) for i in range(5)]
    reject = Reject(
        reason=ReasonCode.INVALID_JSON, origin_file="a", origin_offset=0, length=9,
        digest="", detail="",
    )  # fmt: skip
    verdict = {
        "evidence": (Evidence(rule="complaint_v1", start=0, end=2, weight=1.5),),
        "user_key": "ann", "language": "en", "answer_turn_id": "turn-1",
    }  # fmt: skip
    content = store.signal(
        4, **verdict | {"signal": SignalKind.SAT, "category": Category.SAT,
                        "answer_turn_id": "turn-3", "conversation_id": "conversation-2"}
    )  # fmt: skip
    prompt = SystemPrompt(prompt_hash="ab", content="Be brief.")
    pair = SeedPair(
        pair_id="p", prompt=(Message(role=Role.USER, content="hi"),), chosen="a", rejected="b",
        source="chat", origin_file="b", origin_offset=0,
    )  # fmt: skip
    for night in (LAST_WEEK, store.night):
        store.publish(
            f"by rules, {night}",
            store.stage("turns", "a", turns, night),
            store.stage("conversations", "a", [store.facts(2, cluster="c")], night),
            store.stage("rejects", "a", [reject], night),
            store.stage("system_prompts", "a", [prompt], night),
            store.stage("seed_pairs", "b", [pair], night),
            store.stage("signals", "rules@1", [store.signal(2, **verdict), content], night),
            store.stage("dsat_turns", "rules@1", [store.dsat(2, cluster="c")], night),
        )
    store.publish(
        "by small", store.stage("signals", "small@7", [store.signal(2, **verdict | SMALL)])
    )
    train(store)
    yield store
    store.catalog.close()


def train(store) -> None:
    lease = acquire(
        store.catalog, Wanted(turns=1), stream="default", holdout=0, ttl=dt.timedelta(hours=1),
        now=store.now, seed=0,
    )  # fmt: skip
    model = ModelVersion(
        version="v1", parent=None, batch_id=lease.batch_id, created_at=store.now, promoted=True,
        manifest_sha256="",
    )  # fmt: skip
    finish(store.catalog, lease, model, store.now)


@pytest.fixture(scope="session")
def docs_queries() -> list[str]:
    """The queries of docs/warehouse.md."""
    text = (Path(__file__).parents[2] / "docs" / "warehouse.md").read_text()
    return re.findall(r"```sql\n(.*?)```", text, flags=re.DOTALL)
