"""What `driftmine status` counts."""

from pathlib import Path
from types import SimpleNamespace

from driftmine.overview import overview
from tests.conversations import content, publish
from training.options import TrainingOptions


def test_verdicts_are_counted_as_readers_see_them(store, tmp_path: Path) -> None:
    session = SimpleNamespace(
        settings=SimpleNamespace(training=TrainingOptions()),
        home=SimpleNamespace(models=tmp_path / "models"),
        now=store.now,
    )
    assert overview(session, store.catalog)["signals"] == 0
    turns, verdict = content(store)
    publish(store, turns, [verdict])
    assert overview(session, store.catalog)["signals"] == 1
    store.publish("another", store.stage("signals", "small@7", [verdict]))
    assert overview(session, store.catalog)["signals"] == 1
    assert store.sql("SELECT count(*) FROM signals") == [(1,)]
