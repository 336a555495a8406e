"""Settings: driftmine.toml, overridden by environment variables, checked whole at the start.

`DRIFTMINE_TRAINING__MAX_TURNS=64` sets `max_turns` of section [training]. What each setting
means stands beside its field, in the options of the package that obeys it.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, cast, get_type_hints

from annotated_types import Ge
from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from endpoint.options import EndpointOptions
from ingestion.options import IngestionOptions
from mining.options import MiningOptions
from training.options import TrainingOptions
from warehouse.errors import SettingsError

Endpoint = TypeVar("Endpoint", bound=EndpointOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseOptions:
    """Settings of the warehouse: section [warehouse] of driftmine.toml."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    catalog_url: str = ""  # SQLAlchemy URL; "" = SQLite in the home folder
    data_url: str = ""  # folder or URL (s3://bucket/folder) of the data files; "" = in the home
    retention_days: Annotated[int, Ge(0)] = 30  # how long superseded files can still be read
    orphan_hours: Annotated[int, Ge(1)] = 24  # age at which unpublished files of dead runs go
    compact_mb: Annotated[int, Ge(1)] = 64  # smaller files of a partition are merged


@dataclass(frozen=True, slots=True, kw_only=True)
class NightlyOptions:
    """Settings of the nightly run: section [nightly] of driftmine.toml."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    logs: tuple[str, ...] = ()  # paths, folders or globs, where the command names none


class Settings(BaseSettings):
    """Everything that can be set, one section a package."""

    model_config = SettingsConfigDict(
        env_prefix="DRIFTMINE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    nightly: NightlyOptions = NightlyOptions()
    ingestion: IngestionOptions = IngestionOptions()
    mining: MiningOptions = MiningOptions()
    training: TrainingOptions = TrainingOptions()
    warehouse: WarehouseOptions = WarehouseOptions()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment over the file (which arrives as init_settings), and nothing else."""
        if issubclass(settings_cls, _FileAlone):
            return (init_settings,)
        return _Environment(settings_cls), init_settings


class _FileAlone(Settings):
    """What the file says, whatever the environment does."""


class _Environment(EnvSettingsSource):
    """Variables, of which lists and tables are JSON: within sections nobody else decodes them."""

    def __call__(self) -> dict[str, Any]:
        return {name: _decoded(value) for name, value in super().__call__().items()}


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _decoded(inner) for name, inner in value.items()}
    if isinstance(value, str) and value.startswith(("[", "{")):
        with suppress(ValueError):  # else it is a text, or the complaint about it says more
            return json.loads(value)
    return value


def load(path: Path, *, environment: bool = True) -> Settings:
    """The settings in `path`, or the defaults where there is no such file.

    `environment`: its variables override the file.
    Raises SettingsError, naming the section, the key and the nearest known key.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        known = Settings if environment else _FileAlone
        return _placed(known(**found), path.parent)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no valid TOML: {error}. Mend that line.") from error
    except ValidationError as error:
        complaints = "; ".join(_complaint(dict(problem)) for problem in error.errors())
        raise SettingsError(f"{path} or a variable DRIFTMINE_*: {complaints}") from error


def _placed(settings: Settings, home: Path) -> Settings:
    """With paths that are relative made absolute: they start at the home, wherever cron starts.

    A detector or policy that is no folder there is a name.
    """
    nightly = replace(
        settings.nightly, logs=tuple(_place(home, log) for log in settings.nightly.logs)
    )
    ingestion = replace(
        settings.ingestion,
        roots=tuple(_place(home, root) for root in settings.ingestion.roots),
        opt_out_users=_place(home, settings.ingestion.opt_out_users),
    )
    data = settings.warehouse.data_url
    warehouse = replace(settings.warehouse, data_url=_place(home, data))
    detector = _folder(home, settings.mining.detector)
    training = replace(
        settings.training,
        policy=_folder(home, settings.training.policy),
        reward_model=_folder(home, settings.training.reward_model),
        launch_config=_place(home, settings.training.launch_config),
        trust_remote_code=tuple(_folder(home, n) for n in settings.training.trust_remote_code),
        judge=_stored(home, settings.training.judge),
        endpoint=_stored(home, settings.training.endpoint),
    )
    return settings.model_copy(
        update={
            "nightly": nightly,
            "ingestion": ingestion,
            "mining": replace(
                settings.mining, detector=detector, judge=_stored(home, settings.mining.judge)
            ),
            "warehouse": warehouse,
            "training": training,
        }
    )


def _stored(home: Path, judge: Endpoint) -> Endpoint:
    return replace(judge, store=_place(home, judge.store)) if judge.base_url else judge


def _place(home: Path, path: str) -> str:
    """A URL stays as it is, and so does a path that is not set."""
    return path if "://" in path or not path else str(home / path)


def _folder(home: Path, name: str) -> str:
    """A folder of the home by its path; anything else is a name."""
    return str(home / name) if name and (home / name).is_dir() else name


def keys() -> Iterator[tuple[str, str]]:
    """Every (section, key) that can be set; nested sections are dotted."""
    for section, info in Settings.model_fields.items():
        yield from _keys_of(section, cast(type, info.annotation))


def _keys_of(section: str, options: type) -> Iterator[tuple[str, str]]:
    hints = get_type_hints(options)
    for option in fields(options):
        if is_dataclass(hints[option.name]):
            yield from _keys_of(f"{section}.{option.name}", hints[option.name])
        else:
            yield section, option.name


def _complaint(problem: dict[str, Any]) -> str:
    """One pydantic error as a sentence that names the section and the way out."""
    *section, key = (str(part) for part in problem["loc"])
    where = f"[{'.'.join(section)}]" if section else "the top level"
    if problem["type"] not in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{where} {key}: {problem['msg'].lower()}"
    if section:
        known = [name for owner, name in keys() if owner == ".".join(section)]
    else:
        known = list(Settings.model_fields)
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    return f"{where} has unknown key {key}; {hint}"
