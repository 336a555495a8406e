"""Airflow 3: the night as three tasks, on a worker where driftmine is installed."""

import datetime as dt

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

# A night's run has its own date; the logs that it reads are of the day before.
DAY = "{{ macros.ds_add(ds, -1) }}"
HOME = {"DRIFTMINE_HOME": "/srv/driftmine"}

with DAG(
    "driftmine",
    schedule="15 2 * * *",
    start_date=dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
    catchup=True,  # a day whose logs were not read is read late, not never
    max_active_runs=1,
    default_args={
        "env": HOME,
        "append_env": True,
        "retries": 2,
        "execution_timeout": dt.timedelta(hours=7),  # one that hangs holds back every later night
    },
):
    ingest = BashOperator(
        task_id="ingest",
        bash_command=f"exec driftmine ingest /srv/logs/{DAY} --log-date {DAY} --json",
    )
    mine = BashOperator(
        task_id="mine",
        bash_command=f"exec driftmine mine --from {DAY} --json",
    )
    train = BashOperator(
        task_id="train",
        bash_command="exec driftmine train --policy /srv/base-model --json",
        retries=0,  # a second try would find nothing fresh and hide that the gate said no
    )
    ingest >> mine >> train
