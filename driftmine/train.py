"""One update of the policy, called by `driftmine train` and by the nightly run."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

from driftmine.console import Report
from driftmine.home import make_policy
from driftmine.session import Session, need_extra
from training.options import TrainingOptions
from warehouse.catalog import Catalog

if TYPE_CHECKING:
    from training.report import TrainReport
    from training.scorers.base import Scorer


def update(
    session: Session,
    catalog: Catalog,
    options: TrainingOptions,
    progress: Report,
    *,
    reuse: str = "",
    scorer: Scorer | None = None,
) -> TrainReport | None:
    """Lease, sample, train, gate, register. None where too little is fresh.

    `reuse`: a finished batch whose turns are trained on once more; `scorer`: ranks answers, in
    place of what the settings name.
    """
    need_extra("train", "torch")
    from training.cycle import start_of, train
    from training.tools import tools

    if not options.policy:
        make_policy(session.home)
    start = start_of(session.home.models, options.policy, session.home.policy)
    # Not the session's: the lease runs from here on, however long the night took so far.
    now = dt.datetime.now(dt.UTC)
    with tools(
        options,
        account=f"train {now:%F %T}",
        policies=(start.parent, start.base),
        progress=session.console.stoppable(progress),
        curves=session.home.root / "runs" if options.tensorboard else None,
    ) as given:
        return train(
            catalog,
            models=session.home.models,
            options=options,
            default_policy=session.home.policy,
            now=now,
            reuse=reuse,
            tools=replace(given, scorer=scorer or given.scorer),
        )
