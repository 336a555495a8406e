"""The update in several processes, on CPUs."""

import errno
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from training.options import TrainingOptions
from warehouse.errors import TrainingFailed
from warehouse.records import DsatTurn, PreferencePair

torch = pytest.importorskip("torch")

from training import launch  # noqa: E402
from training.launch import Job, command, update_on  # noqa: E402
from training.policy import load  # noqa: E402
from training.update import update  # noqa: E402

OPTIONS = TrainingOptions(
    max_length=256, max_prompt_tokens=128, batch_size=2, learning_rate=1e-4, processes=2,
    checkpoint_steps=0,
)  # fmt: skip


@pytest.fixture
def job(
    policy_folder: Path, tmp_path: Path, make_turns: Callable[[int], list[DsatTurn]],
    monkeypatch: pytest.MonkeyPatch,
) -> Job:  # fmt: skip
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return Job(
        source=str(policy_folder),
        folder=str(tmp_path / "made"),
        work=str(tmp_path / "work"),
        curves="",
        options=OPTIONS,
        pairs=tuple(
            PreferencePair(
                turn_id=turn.turn_id, prompt=turn.context, chosen="A day.", rejected=turn.answer
            )
            for turn in make_turns(8)
        ),
    )


def test_two_processes_take_the_steps_of_one(job: Job) -> None:
    """Two processes with two pairs a step each are one with four."""
    told: list[tuple[int, int, str]] = []
    report = update_on(job, lambda *step: told.append(step))
    alone = load(job.source)
    expected = update(alone, job.pairs, replace(OPTIONS, batch_size=4, processes=1))
    assert (report.trained, report.steps, report.start_margin) == (8, expected.steps, 0.0)
    assert told == [(1, 2, "update"), (2, 2, "update")]
    assert [step.loss for step in report.curve] == pytest.approx(
        [step.loss for step in expected.curve], abs=1e-4
    )
    made = load(job.folder)
    for name, one in alone.model.state_dict().items():
        assert torch.allclose(made.model.state_dict()[name], one, atol=1e-3), name
    assert not list(Path(job.folder).glob("*.bin"))


def test_what_fails_there_is_said_here(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the launcher and a process of its own, which add nothing but their time."""
    long = tuple(msgspec.structs.replace(p, prompt=p.prompt * 90) for p in job.pairs)

    def here(_: TrainingOptions, told: Path) -> list[str]:
        return [sys.executable, "-c", f"raise SystemExit({launch.main(str(told))})"]

    monkeypatch.setattr(launch, "command", here)
    alone = msgspec.structs.replace(job, pairs=long, options=replace(OPTIONS, processes=1))
    with pytest.raises(TrainingFailed, match=r"all 8 pairs fill max_length \(256\)"):
        update_on(alone)
    assert not (tmp_path / "made").exists()


FAILS = {
    "memory": (
        torch.OutOfMemoryError("CUDA out of memory"),
        r"Memory ran out.*max_pass_tokens.*\[training\.lora\]",
    ),
    "disk": (OSError(errno.ENOSPC, "No space", "w"), r"The disk is full \(w\).*Make room"),
    "access": (OSError(errno.EACCES, "Permission denied", "w"), r"w: Permission denied\."),
    # Without its text, which may quote a log.
    "a defect": (
        RuntimeError("what a user wrote"),
        r"RuntimeError in a process of the update \(\S+, line \d+\), which should not happen\. "
        r"Nothing was registered; run again, and report this if it comes back\.$",
    ),
}


@pytest.mark.parametrize("rank", ["0", "1"])
@pytest.mark.parametrize("error, message", FAILS.values(), ids=FAILS)
def test_what_any_process_fails_of_is_named(
    error: Exception, message: str, rank: str, job: Job, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Not the launcher's last lines: the same message as of one process."""

    def fail(*_: object, **__: object) -> None:
        raise error

    told = tmp_path / "job.json"
    told.write_bytes(msgspec.json.encode(job))
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(launch, "load", fail)
    assert launch.main(str(told)) == 1
    assert re.match(message, launch._why(tmp_path / "failure.json", 1, ["some traceback"]))


def test_the_launcher_s_own_failure_is_told(job: Job) -> None:
    options = replace(OPTIONS, launch_config="/nowhere/fsdp2.yaml")
    with pytest.raises(TrainingFailed, match=r"status 1 and no report.*(\n.*)*fsdp2\.yaml"):
        update_on(msgspec.structs.replace(job, options=options))


def test_the_settings_of_accelerate_are_the_operator_s(tmp_path: Path) -> None:
    found = command(replace(OPTIONS, launch_config="fsdp2.yaml", processes=8), tmp_path / "job")
    assert found[1:5] == ["-m", "accelerate.commands.launch", "--config_file", "fsdp2.yaml"]
    assert found[-5:] == ["--num_processes", "8", "-m", "training.launch", str(tmp_path / "job")]
