import pytest

from ingestion import runners
from warehouse.errors import SettingsError

ENDPOINT = "--job_endpoint=localhost:8099"

CHOSEN = {
    "one process": (("local", 1, ()), ("FnApiRunner", "--direct_num_workers=1")),
    "several": (("local", 4, ()), ("FnApiRunner", "--direct_num_workers=4")),
    "a job service": (
        ("PortableRunner", 1, (ENDPOINT, "--environment_type=LOOPBACK")),
        ("PortableRunner", ENDPOINT, "--environment_type=LOOPBACK"),
    ),
    "Flink": (("FlinkRunner", 2, ("--flink_master=f:81",)), ("FlinkRunner", "--flink_master=f:81")),
    "Spark": (("SparkRunner", 1, ()), ("SparkRunner",)),
    "Dataflow": (("DataflowRunner", 1, ("--region=eu1",)), ("DataflowRunner", "--region=eu1")),
}  # fmt: skip


@pytest.mark.parametrize("given, found", CHOSEN.values(), ids=CHOSEN)
def test_a_runner_and_its_flags(given, found):
    runner = runners.choose(*given)
    name, *flags = found
    assert runner.name == name
    assert sorted(runner.flags) == sorted([*flags, "--no_save_main_session"])


REFUSED = {
    "loses data": (("DaskRunner", 1, ()), "DaskRunner is not used, for it loses data"),
    "looks for a download": (("DirectRunner", 1, ()), "looks for a download at each start"),
    "downloads": (("PrismRunner", 1, ()), "downloads its engine"),
    "a slip": (("FlinkRuner", 1, ()), "'FlinkRuner'; did you mean 'FlinkRunner'"),
    "nothing like it": (("yarn", 1, ()), "Known: local, PortableRunner"),
    "no flag": (("FlinkRunner", 1, ("flink_master=x",)), "'flink_master' is no flag"),
    "two runners": (("FlinkRunner", 1, ("--runner=Spark",)), "--runner is set by Driftmine"),
    "options of no runner": (("local", 1, ("--flink_master=x",)), "takes no options"),
    "no job service": (("PortableRunner", 1, ()), "needs --job_endpoint=HOST:PORT"),
}


@pytest.mark.parametrize("given, why", REFUSED.values(), ids=REFUSED)
def test_a_runner_that_is_refused(given, why):
    with pytest.raises(SettingsError, match=why):
        runners.choose(*given)


def test_values_of_flags_are_not_repeated():
    with pytest.raises(SettingsError) as raised:
        runners.choose("local", 1, ("--s3_secret=hush",))
    assert "hush" not in str(raised.value)
