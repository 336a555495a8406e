"""What one run of ingestion works on: which logs, with which settings, in place of what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import msgspec

from ingestion import shards
from ingestion.assemble import Assembly
from ingestion.handoff import Handoff
from ingestion.hashes import hash_of
from ingestion.logs.places import LogFile
from ingestion.options import IngestionOptions
from ingestion.optouts import take_opt_outs
from ingestion.redact.stages import load_redactor
from ingestion.stage import Job
from warehouse import barred, ledger, publish
from warehouse.barred import Bar
from warehouse.catalog import Catalog
from warehouse.query import generations
from warehouse.schema import Partition

# All that a log fills of a night.
TABLES = ("turns", "conversations", "system_prompts", "seed_pairs", "rejects")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. Equal inputs make equal run ids: what is killed is taken up again."""

    catalog: Catalog
    run_id: str
    logs: Sequence[LogFile]
    options: IngestionOptions
    job: Job
    assembly: Assembly
    former: frozenset[tuple[dt.date, str]]  # nights that these logs fill already, log by log
    handoff: Handoff

    @property
    def log_date(self) -> dt.date:
        """The night of all that says of none."""
        return self.job.log_date

    def replaces(self) -> set[Partition]:
        """What is published of these logs, and goes."""
        own = {(self.log_date, log.name) for log in self.logs}
        return {Partition(table, *place) for place in own | self.former for table in TABLES}


def plan(
    catalog: Catalog,
    *,
    logs: Sequence[LogFile],
    log_date: dt.date,
    dating: Literal["run", "record"],
    options: IngestionOptions,
    secret: bytes,
) -> Run:
    """The run that reads these logs, all of them, into `log_date`.

    Raises SettingsError where the list of users who opted out cannot be read, MissingExtra where
    Presidio is asked for and is not installed.
    """
    take_opt_outs(catalog, options, secret)
    if options.redaction.presidio:
        load_redactor(options.redaction)
    assembly = Assembly(
        secret=secret,
        redaction=options.redaction,
        suppressed=barred.barred(catalog, Bar.ERASED),
        opted_out=barred.barred(catalog, Bar.OPTED_OUT),
        id_prefix=f"{log_date}/" if options.id_scope == "night" else "",
    )
    job = Job(
        root=catalog.root,
        log_date=log_date,
        dating=dating,
        limits=shards.limits(options),
        mapping=options.mapping,
    )
    names = {log.name for log in logs}
    former = frozenset(
        (log.log_date, log.name)
        for log in ledger.published(catalog)
        if log.name in names and (dating == "record" or log.log_date == log_date)
    )
    run_id = publish.run_id(
        "ingest",
        # Another version may make other rows of the same logs.
        version("driftmine"),
        *_inputs(catalog, logs, former, log_date),
        _fingerprint(options, job, assembly),
    )
    return Run(
        catalog=catalog,
        run_id=run_id,
        logs=logs,
        options=options,
        job=job,
        assembly=assembly,
        former=former,
        handoff=Handoff(catalog.root, run_id),
    )


def _inputs(
    catalog: Catalog,
    logs: Sequence[LogFile],
    former: frozenset[tuple[dt.date, str]],
    log_date: dt.date,
) -> list[str]:
    """With generations, so that a log put back to what it was before is another run."""
    seen = {
        partition: generation
        for night in {log_date, *(night for night, _ in former)}
        for partition, generation in generations(catalog, "conversations", night).items()
    }
    return [f"{log.name} {log.sha256}" for log in logs] + [
        f"{night} {name} {seen.get(Partition('conversations', night, name), 0)}"
        for night, name in sorted({*former, *((log_date, log.name) for log in logs)})
    ]


def _fingerprint(options: IngestionOptions, job: Job, assembly: Assembly) -> str:
    """Of every setting that rows depend on; not of those that say how they are made."""
    barred_users = [sorted(assembly.suppressed), sorted(assembly.opted_out)]
    said = [options.format, options.source, job, assembly.redaction, assembly.id_prefix]
    return hash_of(msgspec.json.encode([said, barred_users], enc_hook=str))
