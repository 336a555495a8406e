"""One self-contained HTML page: figures from the warehouse's views, escaped, no script."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
from duckdb import DuckDBPyConnection

from driftmine.home import Home
from driftmine.report import updates
from driftmine.report.jinja import environment
from training import registry
from warehouse.catalog import Catalog
from warehouse.durable import write_whole
from warehouse.publish import erasure
from warehouse.query import connect, newest_commit

# What the page asks of the warehouse; each answer is a list of dictionaries under its name.
QUERIES = {
    "totals": """
        SELECT count(DISTINCT conversation_id) AS conversations, count(*) AS turns,
               min(log_date) AS first, max(log_date) AS last FROM turns""",
    "by_model": """
        SELECT coalesce(model, 'unknown') AS name, sum(follow_ups) AS n, sum(dsat) AS k,
               k / n AS rate, wilson_low(k, n) AS low, wilson_high(k, n) AS high
        FROM dsat_rate_daily GROUP BY name ORDER BY n DESC""",
    "by_day": """
        SELECT log_date AS name, sum(follow_ups) AS n, sum(dsat) AS k,
               k / n AS rate, wilson_low(k, n) AS low, wilson_high(k, n) AS high
        FROM dsat_rate_daily GROUP BY name ORDER BY name DESC LIMIT 60""",
    "by_category": """
        SELECT category, count(*) AS n, count(*) FILTER (trainable) AS trainable
        FROM dsat_turns GROUP BY ALL ORDER BY n DESC""",
    "untrainable": """
        SELECT untrainable_reason AS reason, count(*) AS n FROM dsat_turns
        WHERE NOT trainable GROUP BY ALL ORDER BY n DESC""",
    "rejects": """
        SELECT reason, count(*) AS n, min(origin_file) AS example_file,
               arg_min(origin_offset, origin_file) AS example_offset
        FROM rejects GROUP BY ALL ORDER BY n DESC""",
    "examples": """
        SELECT conversation_id, category, round(probability, 2) AS probability, trainable,
               coalesce(model, 'unknown') AS model, context[-1].content AS request,
               answer, feedback
        FROM dsat_turns ORDER BY probability DESC, turn_id LIMIT 25""",
}


def page_of(home: Home, log_date: dt.date) -> Path:
    """Where the page of a night lies."""
    return home.reports / f"{log_date}.html"


def write_page(
    home: Home, catalog: Catalog, now: dt.datetime, *, out: Path, night: Any = None
) -> Path:
    """Write the page to `out` and return that.

    `night` is the nightly run's report (a struct), shown on top where there is one.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    while True:
        # A user who was erased between reading and writing may be quoted: then once more. One who
        # is erased later is looked for in the pages that are there.
        before = erasure(catalog)
        write_whole(out, render(home, catalog, now, night).encode())
        if erasure(catalog) == before:
            return out


def render(home: Home, catalog: Catalog, now: dt.datetime, night: Any = None) -> str:
    """The page's HTML."""
    with connect(catalog.root, catalog.store) as connection:
        answers = {name: _rows(connection, query) for name, query in QUERIES.items()}
    return (
        environment()
        .get_template("page.html")
        .render(
            night=msgspec.to_builtins(night) if night else None,
            now=now.strftime("%Y-%m-%d %H:%M UTC"),
            commit=newest_commit(catalog),
            models=_models(home),
            **answers,
        )
    )


def _models(home: Home) -> list[dict[str, Any]]:
    """Manifests of the registered versions, newest first, with a mark on the champion."""
    champion = registry.current(home.models, registry.CHAMPION)
    names = reversed(registry.versions(home.models))
    manifests = [msgspec.to_builtins(registry.read(home.models, name)) for name in names]
    return [
        {
            **m,
            "champion": m["version"] == champion,
            "figures": list(updates.figures(m["report"])),
            "curves": updates.curves(m["report"]),
        }
        for m in manifests
    ]


def _rows(connection: DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
