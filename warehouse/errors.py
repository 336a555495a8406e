"""Every error that Driftmine raises on purpose, named by what the operator does about it.

    DriftmineError
    ├── SettingsError       mend the file or the flag; exit 2
    ├── PolicyUnusable      name another policy, or mend its folder; exit 2
    ├── DetectorUnusable    name another detector, or train it again; exit 2
    ├── ScorerUnusable      name another scorer, or mend its folder; exit 2
    ├── MissingExtra        install the extra that it names; exit 2
    ├── SnapshotGone        name a newer commit; exit 2
    ├── SourceUnavailable   check the path and the access to it, run again; exit 1
    ├── CorruptStaging      run the stage again; exit 1
    ├── CommitConflict      another run published first: run again; exit 1
    ├── CommitUnknown       the database went away at its commit: run again; exit 1
    ├── LeaseLost           the batch went to another trainer: run again; exit 1
    ├── ErasureUnfinished   see what is left of the user and where, erase again; exit 1
    ├── CatalogMismatch     upgrade Driftmine, or the warehouse; exit 1
    ├── TrainingFailed      read the message (not a number, no memory), run again; exit 1
    └── QualityLimit        look at the data; nothing was published; exit 3

Bad data is no error: it is a `Reject`. Every message says what happened, where, and what to do
next. Nothing that a user wrote stands in a message.
"""


class DriftmineError(Exception):
    """Root of all. `exit_code` is what the command line ends with."""

    exit_code = 1


class SettingsError(DriftmineError):
    """A setting or a flag that is unknown or makes no sense."""

    exit_code = 2


class PolicyUnusable(DriftmineError):
    """A policy folder that cannot be loaded, or that would need unsafe loading."""

    exit_code = 2


class DetectorUnusable(DriftmineError):
    """A detector's folder that cannot be used as it is."""

    exit_code = 2


class ScorerUnusable(DriftmineError):
    """A reward model's folder that cannot be used as it is."""

    exit_code = 2


class MissingExtra(DriftmineError):
    """A stage was asked for whose packages are not installed."""

    exit_code = 2


class SnapshotGone(DriftmineError):
    """A commit that there never was, or whose files are not kept any more."""

    exit_code = 2


class SourceUnavailable(DriftmineError):
    """A log or a warehouse that was named but cannot be read."""


class CorruptStaging(DriftmineError):
    """A staged file is not what its writer said it was."""


class CommitConflict(DriftmineError):
    """A partition that this run read or replaces was published by another meanwhile."""


class CommitUnknown(DriftmineError):
    """The catalog's database went away while it committed. Whoever can, asks it again."""


class LeaseLost(DriftmineError):
    """A batch whose lease ran out and was given away, or was finished before."""


class ErasureUnfinished(DriftmineError):
    """Something of an erased user is still there, or cannot be searched."""

    removed: tuple[str, ...] = ()  # what is gone all the same: a line a file


class CatalogMismatch(DriftmineError):
    """The catalog was written by a version that this one does not understand."""


class TrainingFailed(DriftmineError):
    """An update that cannot go on. Nothing was registered."""


class QualityLimit(DriftmineError):
    """A data-quality limit said no. Nothing was published."""

    exit_code = 3
