import pytest

from ingestion.failures import raised, told
from warehouse.errors import CorruptStaging, DriftmineError, SourceUnavailable

ERRORS = {
    "one of ours": (CorruptStaging("a: lost"), CorruptStaging, "a: lost"),
    "another of ours": (SourceUnavailable("a: gone"), SourceUnavailable, "a: gone"),
    "the system's": (OSError(28, "No space left", "/data/a"), OSError, "No space left.*/data/a"),
    "the system's, without a number": (OSError("no space"), OSError, "no space"),
    "a defect": (ValueError("ann said so"), DriftmineError, "ValueError at .*, line"),
}


@pytest.mark.parametrize("error, kind, says", ERRORS.values(), ids=ERRORS)
def test_what_the_driver_raises(error, kind, says):
    try:
        raise error
    except Exception as caught:
        failed = told(caught)
    with pytest.raises(kind, match=says) as again:
        raise raised(failed)
    assert "ann said so" not in str(again.value)
