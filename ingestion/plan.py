"""What one run of ingestion works on: which logs, with which settings, in place of what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
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
from warehouse.publish import Seen
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
    seen: Seen
    handoff: Handoff
    watermark: dt.date | None  # that publishing moves the stage's to; None: it stays

    def reading(self, log: LogFile) -> str:
        """Digest of all that the rows of a log depend on: what the ledger keeps of it."""
        # Not the store: a warehouse that was moved holds what it held.
        job = msgspec.structs.replace(self.job, store=Path())
        settings = _fingerprint(self.options, job, self.assembly)
        said = [version("driftmine"), log.sha256, settings, self.options.near_duplicate_nights]
        return hash_of(msgspec.json.encode(said))

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
    watermark: dt.date | None,
) -> Run:
    """The run that reads these logs, all of them, into `log_date`.

    `watermark`: the night that the stage has come to with it; None for a backfill.

    Raises SettingsError where the list of users who opted out cannot be read, MissingExtra where
    Presidio is asked for and is not installed.
    """
    take_opt_outs(catalog, options, secret)
    erasure = publish.erasure(catalog)
    if options.redaction.presidio:
        load_redactor(options.redaction)
    assembly = _assembly(catalog, log_date, options, secret)
    job = Job(
        store=catalog.store,
        log_date=log_date,
        dating=dating,
        limits=shards.limits(options),
        mapping=options.mapping,
    )
    former = _former(catalog, logs, job)
    held = _generations(catalog, former | {(log_date, log.name) for log in logs})
    run_id = _run_id(logs, held, _fingerprint(options, job, assembly))
    return Run(
        catalog=catalog,
        run_id=run_id,
        logs=logs,
        options=options,
        job=job,
        assembly=assembly,
        former=former,
        seen=Seen(erasure=erasure, partitions=held),
        handoff=Handoff(catalog.root, catalog.store, run_id),
        watermark=watermark,
    )


def _assembly(
    catalog: Catalog, log_date: dt.date, options: IngestionOptions, secret: bytes
) -> Assembly:
    return Assembly(
        secret=secret,
        redaction=options.redaction,
        suppressed=barred.barred(catalog, Bar.ERASED),
        opted_out=barred.barred(catalog, Bar.OPTED_OUT),
        id_prefix=f"{log_date}/" if options.id_scope == "night" else "",
    )


def _former(catalog: Catalog, logs: Sequence[LogFile], job: Job) -> frozenset[tuple[dt.date, str]]:
    """The nights that these logs fill already, log by log."""
    names = {log.name for log in logs}
    return frozenset(
        (log.log_date, log.name)
        for log in ledger.published(catalog)
        if log.name in names and (job.dating == "record" or log.log_date == job.log_date)
    )


def _generations(catalog: Catalog, places: Collection[tuple[dt.date, str]]) -> dict[Partition, int]:
    """How often what these logs have filled was replaced, by night and log."""
    seen = {
        partition: generation
        for night in {night for night, _ in places}
        for partition, generation in generations(catalog, "conversations", night).items()
    }
    wanted = [Partition("conversations", night, name) for night, name in places]
    return {partition: seen.get(partition, 0) for partition in wanted}


def _run_id(logs: Sequence[LogFile], held: Mapping[Partition, int], fingerprint: str) -> str:
    return publish.run_id(
        "ingest",
        # Another version may make other rows of the same logs.
        version("driftmine"),
        *(f"{log.name} {log.sha256}" for log in logs),
        # So that a log put back to what it was before is another run.
        *(f"{part.log_date} {part.part} {held[part]}" for part in sorted(held)),
        fingerprint,
    )


def _fingerprint(options: IngestionOptions, job: Job, assembly: Assembly) -> str:
    """Of every setting that rows depend on; not of those that say how they are made."""
    barred_users = [sorted(assembly.suppressed), sorted(assembly.opted_out)]
    said = [options.format, options.source, job, assembly.redaction, assembly.id_prefix]
    return hash_of(msgspec.json.encode([said, barred_users], enc_hook=str))
