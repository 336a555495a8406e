"""The cycle against a real warehouse: what is registered, and what a failure leaves."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training import registry
from training.options import GateOptions, TrainingOptions
from warehouse import publish, streams
from warehouse.catalog import Catalog
from warehouse.errors import LeaseLost, SettingsError, TrainingFailed
from warehouse.records import DsatTurn
from warehouse.schema import Partition, to_batch
from warehouse.staging import PartitionWriter

torch = pytest.importorskip("torch")

from training import cycle  # noqa: E402
from training.cycle import settle, train  # noqa: E402
from training.report import Start, TrainReport  # noqa: E402

HOUR = dt.timedelta(hours=1)
# Limits that no small policy breaks by chance: what the gate decides is not the matter here.
OPEN_GATE = GateOptions(
    max_kl=50, max_length_ratio=50, max_chosen_drop=50, min_heldout=1, max_dropped_share=1
)
OPTIONS = TrainingOptions(
    min_turns=9,
    max_turns=12,
    holdout=0.2,
    max_length=192,
    max_prompt_tokens=128,
    max_new_tokens=12,
    keep_cut_off=True,
    batch_size=4,
    learning_rate=1e-5,
    gate=OPEN_GATE,
)
Night = Callable[..., TrainReport | None]


@pytest.fixture
def catalog(
    tmp_path: Path, make_turns: Callable[[int], list[DsatTurn]], now: dt.datetime
) -> Catalog:
    catalog = Catalog.open(tmp_path / "warehouse")
    partition = Partition("dsat_turns", now.date(), "d@1")
    run = publish.run_id("mine", "d@1")
    publish.begin(catalog, run_id=run, stage="mine", log_date=now.date(), now=now)
    writer = PartitionWriter(catalog.root, partition)
    writer.write(to_batch("dsat_turns", now.date(), make_turns(40)))
    publish.publish(
        catalog, run_id=run, staged=[writer.close()], replaces=[partition], counts={}, now=now,
        seen=publish.Seen(erasure=0),
    )  # fmt: skip
    return catalog


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def night(
    catalog: Catalog, models: Path, policy_folder: Path, now: dt.datetime, few_answers: None
) -> Night:
    def run(options: TrainingOptions = OPTIONS, hours: int = 0) -> TrainReport | None:
        return train(
            catalog,
            models=models,
            options=options,
            default_policy=policy_folder,
            now=now + hours * HOUR,
        )

    return run


@pytest.fixture
def fresh(catalog: Catalog, now: dt.datetime) -> Callable[[], int]:
    return lambda: streams.fresh(catalog, stream="default", holdout=OPTIONS.holdout, now=now)


def entries(models: Path) -> list[str]:
    return sorted(path.name for path in (models / "versions").iterdir())


def test_nights_build_on_one_another(
    night: Night, catalog: Catalog, models: Path, policy_folder: Path, now: dt.datetime
) -> None:
    first = night()
    assert first is not None and first.promoted and first.metrics is not None
    assert first.parent == str(policy_folder)
    assert first.batch_size == 12 == first.pairs + sum(first.filtered.values()) + first.dropped
    assert first.truncated_prompts == 12  # the instruction alone is longer than 128 bytes
    assert set(first.seconds) == {"load", "sample", "pair", "update", "evaluate", "register"}
    assert registry.current(models, "champion") == registry.current(models, "candidate")
    assert registry.verify(models, "champion") == []

    second = night(hours=1)
    assert second is not None and second.parent == first.version
    one, two = (registry.read(models, report.version) for report in (first, second))
    assert not set(one.turn_ids) & set(two.turn_ids)
    assert two.base == str(policy_folder)
    assert (one.created_at, one.settings["seed"], one.guidance) == (now, 0, "guided_v1")
    assert one.report["gate"]["promote"] is True
    assert streams.lineage(catalog, second.version) == sorted(two.turn_ids)
    assert (registry.folder(models, second.version) / "README.md").exists()

    assert night(hours=2) is None  # 8 turns are left
    assert entries(models) == [first.version, second.version]


def test_a_batch_may_be_smaller_than_the_minimum_where_max_turns_is(night: Night) -> None:
    report = night(replace(OPTIONS, max_turns=6))
    assert report is not None and report.batch_size == 6


def test_nothing_held_out_is_never_promoted(night: Night) -> None:
    report = night(replace(OPTIONS, holdout=0.0))
    assert report is not None and report.metrics is None and not report.promoted


def test_unguided_samples_see_the_context_alone(night: Night, models: Path) -> None:
    report = night(replace(OPTIONS, guided=False))
    assert report is not None and report.truncated_prompts == 0
    assert registry.read(models, report.version).guidance == ""


def test_no_pairs_is_an_error_that_says_why(night: Night, fresh: Callable[[], int]) -> None:
    before = fresh()
    with pytest.raises(TrainingFailed, match=r"None of 12 turns .*cut_off"):
        night(replace(OPTIONS, keep_cut_off=False, max_new_tokens=1))
    assert fresh() == before


def test_a_lease_that_ran_out_registers_nothing(
    night: Night, models: Path, catalog: Catalog, now: dt.datetime
) -> None:
    with pytest.raises(LeaseLost):
        night(replace(OPTIONS, lease_hours=1e-9))
    assert registry.versions(models) == []
    settle(catalog, models, now=now + HOUR)
    assert entries(models) == []


def test_versions_of_a_trusted_base_are_trusted() -> None:
    start = Start(source="/models/v2", parent="v2", base="org/base")
    assert cycle._trusting(OPTIONS, start) is OPTIONS
    trusted = replace(OPTIONS, trust_remote_code=("org/base",))
    assert cycle._trusting(trusted, start).trust_remote_code == ("org/base", "/models/v2")
    other = replace(OPTIONS, trust_remote_code=("org/base-2",))
    assert cycle._trusting(other, start) is other


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"max_prompt_tokens": 192}, r"max_prompt_tokens \(192\) must be below max_length"),
        ({"max_length": 5000}, "reads 4096 tokens at most.*asks for 5000"),
    ],
)
def test_settings_that_cannot_work(
    changes: dict[str, Any], message: str, night: Night, fresh: Callable[[], int]
) -> None:
    before = fresh()
    with pytest.raises(SettingsError, match=message):
        night(replace(OPTIONS, **changes))
    assert fresh() == before
