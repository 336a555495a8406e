"""A worker process of the local runner: Beam's own, but it ends with its driver and keeps quiet.

    python -m ingestion.worker

Beam starts it, with all that it needs in the environment.
"""

from __future__ import annotations

import logging
import os
import runpy
import threading
import time

_LOOK_S = 0.5  # between two looks at whether the driver lives


def main() -> None:
    """Work until the driver is done, or dead."""
    # What is logged goes to the driver. Where nobody listens here, Beam prints it here as well.
    logging.getLogger().addHandler(logging.NullHandler())
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    runpy.run_module("apache_beam.runners.worker.sdk_worker_main", run_name="__main__")


def _end_with(driver: int) -> None:
    while os.getppid() == driver:
        time.sleep(_LOOK_S)
    # At once: the threads of Beam would wait for ever for a driver that was killed.
    os._exit(1)


if __name__ == "__main__":
    main()
