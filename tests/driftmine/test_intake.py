import datetime as dt

import pytest

from driftmine.home import Home
from driftmine.intake import When, when
from ingestion.options import IngestionOptions
from warehouse.errors import CommitConflict, SettingsError

TODAY = dt.date(2026, 3, 3)
NIGHT = dt.date(2026, 3, 1)

SAID = {
    "nothing": (None, "run", When(log_date=None, by_record=False, today=TODAY)),
    "nothing, but the settings say": (
        None,
        "record",
        When(log_date=None, by_record=True, today=TODAY),
    ),
    "a date": ("2026-03-01", "run", When(log_date=NIGHT, by_record=False, today=TODAY)),
    "a date, whatever the settings say": (
        "2026-03-01",
        "record",
        When(log_date=NIGHT, by_record=False, today=TODAY),
    ),
    "each record's own": ("record", "run", When(log_date=None, by_record=True, today=TODAY)),
}


@pytest.mark.parametrize("said, setting, at", SAID.values(), ids=SAID)
def test_which_night_logs_count_to(said, setting, at):
    assert when(said, TODAY, IngestionOptions(log_date=setting)) == at


@pytest.mark.parametrize("said", ["yesterday", "2026-13-01", "2026-3-1", ""])
def test_what_is_no_date_is_refused(said):
    with pytest.raises(SettingsError, match="YYYY-MM-DD, or record"):
        when(said, TODAY, IngestionOptions())


def test_one_nightly_run_works_in_a_home_at_a_time(tmp_path):
    home = Home(tmp_path)
    with home.held():
        with pytest.raises(CommitConflict, match="another nightly run is at work"), home.held():
            pass
    with home.held():
        pass
