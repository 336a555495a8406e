"""The processes of the local runner end with their driver, however that ends."""

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil

DRIVER = textwrap.dedent(
    """
    import os, sys, time
    import apache_beam as beam
    from ingestion import io, runners

    def work(number, folder):
        import os, time  # it crosses processes without this module

        open(os.path.join(folder, str(os.getpid())), "w").close()
        time.sleep(300)

    def build(pipeline):
        numbers = pipeline | beam.Create([1, 2]) | beam.Reshuffle()
        return numbers | beam.Map(work, sys.argv[1])

    io.run_pipeline(build, runners.local(2))
    """
)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait(condition: Callable[[], bool], said: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, said
        time.sleep(0.1)


def test_workers_end_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "warehouse").mkdir()  # as a home has it: not to be taken for the package
    driver = subprocess.Popen([sys.executable, "-P", "-c", DRIVER, str(tmp_path)], cwd=tmp_path)

    def workers() -> list[int]:
        return [int(path.name) for path in tmp_path.iterdir() if path.name.isdecimal()]

    _wait(lambda: len(workers()) == 2 or driver.poll() is not None, "no worker came up")
    assert driver.poll() is None
    driver.kill()
    driver.wait()
    _wait(lambda: not any(map(_lives, workers())), "a worker lives on")
