"""Who may import what: read from the source, and from what a process really loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("warehouse", "endpoint", "ingestion", "mining", "training", "driftmine")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
HEAVY = {
    "apache_beam", "torch", "transformers", "trl", "duckdb", "sqlalchemy", "spacy", "matplotlib",
    "httpx",
}  # fmt: skip

ENCODERS = ("mining/finetune.py", "mining/transformer.py")

# Package -> the files that may import it; a pattern of Path.match, relative to the checkout.
ALLOWED = {
    "apache_beam": (
        "ingestion/transforms.py", "ingestion/io.py", "ingestion/job.py",
        "mining/transforms.py", "mining/io.py", "mining/job.py",
    ),
    "httpx": ("endpoint/transport.py",),
    "trl": ("training/update.py",),
    "torch": (
        "training/*.py", "training/samplers/*.py", "training/scorers/reward_model.py", *ENCODERS,
        "mining/export.py", "driftmine/sandbox/pretrain.py",
    ),
    "transformers": (
        "training/*.py", "training/samplers/*.py", "training/scorers/reward_model.py", *ENCODERS,
        "driftmine/sandbox/pretrain.py",
    ),
    "spacy": ("mining/*.py",),
    "matplotlib": (
        "driftmine/report/drawing.py", "driftmine/report/plots.py", "driftmine/sandbox/lines.py",
        "driftmine/sandbox/plots.py",
    ),
    "sqlalchemy": ("warehouse/*.py", "warehouse/migrations/*.py", "warehouse/upkeep/*.py"),
}  # fmt: skip
PURE = (
    "warehouse.records", "warehouse.errors", "warehouse.selection", "endpoint.access",
    "endpoint.options", "endpoint.prompt", "ingestion.normalize", "ingestion.assemble",
    "ingestion.formats.detect", "ingestion.formats.mapping", "ingestion.language",
    "ingestion.logs.contents", "ingestion.redact.stages", "ingestion.shards", "ingestion.sketch",
    "ingestion.stage",
    "mining.rules", "mining.heuristics", "mining.features", "mining.verdict",
    "mining.conversations", "mining.labelled", "mining.metrics", "mining.curves",
    "training.pairs", "training.gate", "training.prompts", "training.methods",
    "training.examples", "training.compare",
    "training.metrics", "training.manifest", "training.refusals", "training.registry",
    "training.prune", "training.publish", "training.samplers.base", "training.samplers.serving",
    "training.judging.wildbench", "training.judging.winrate", "training.judging.diversity",
    "training.judging.questions", "training.judging.judge", "training.judging.judgement",
    "training.scorers.base", "training.scorers.judged",
    "driftmine.sandbox.tasks", "driftmine.sandbox.truth", "driftmine.sandbox.habits",
    "driftmine.sandbox.lessons", "driftmine.sandbox.phrases", "driftmine.sandbox.users",
    "driftmine.sandbox.setup", "driftmine.sandbox.asked", "driftmine.sandbox.results",
    "driftmine.sandbox.groups", "driftmine.sandbox.plots",
)  # fmt: skip


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_heavy_packages_stay_at_the_edges(package: str) -> None:
    users = {path.relative_to(ROOT) for path in FILES if package in imported(path)}
    strays = [str(u) for u in users if not any(u.match(p) for p in ALLOWED[package])]
    assert users, f"nobody imports {package}: mend the table"
    assert strays == []


def test_a_stray_import_is_seen(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden.py"
    hidden.write_text("def f():\n    from apache_beam.io import x\n")
    assert "apache_beam" in imported(hidden)


def loaded(*modules: str) -> set[str]:
    """Top-level packages in a fresh process after importing `modules`."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def test_pure_modules_load_nothing_heavy() -> None:
    assert loaded(*PURE) & HEAVY == set()


@pytest.mark.parametrize(
    "modules, banned",
    {
        "the ETL starts without torch": (
            ("ingestion.job", "mining.job"),
            {"torch", "transformers", "trl", "matplotlib", "httpx"},
        ),
        "the trainer starts without Beam": (("training.cycle",), {"apache_beam", "spacy"}),
        "the command line starts light": (
            ("driftmine.cli",),
            HEAVY | {"pyarrow", "pydantic", "numpy", "rich"},
        ),
    }.values(),
    ids=["etl", "trainer", "cli"],
)
def test_each_role_loads_only_its_own(modules: tuple[str, ...], banned: set[str]) -> None:
    assert loaded(*modules) & banned == set()


def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in FILES}
    assert {name: n for name, n in lengths.items() if n > 300} == {}
