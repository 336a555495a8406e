"""Checkpoints of an update that was interrupted."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers.trainer_utils import get_last_checkpoint


def newest(folder: Path) -> str | None:
    """The newest checkpoint that is whole; others, of processes that were killed, are removed."""
    while found := get_last_checkpoint(str(folder)):
        if _is_whole(Path(found)):
            return str(found)
        shutil.rmtree(found)
    return None


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
        for path in checkpoint.glob("*.safetensors"):
            with safe_open(path, "pt") as weights:  # its header tells how long it is
                weights.keys()
    except (OSError, ValueError, SafetensorError):
        return False
    state = [*checkpoint.glob("*.pt"), *checkpoint.glob("*.pth")]
    return len(state) > 2 and all(map(zipfile.is_zipfile, state))
