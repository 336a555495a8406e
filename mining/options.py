"""Settings of mining: sections [mining] and [mining.judge] of driftmine.toml."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Interval

from endpoint.options import EndpointOptions


class Asked(StrEnum):
    """When a detector's encoder is asked: it reads context, and takes a hundred times as long."""

    NEVER = "never"
    UNCERTAIN = "uncertain"  # where rules and linear model are not sure, by the card
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions(EndpointOptions):
    """A large language model that is asked about uncertain follow-ups; off without a base_url."""

    low: Annotated[float, Interval(ge=0, le=1)] = 0.2  # asked where low <= P(DSAT) <= high
    high: Annotated[float, Interval(ge=0, le=1)] = 0.8
    # P(DSAT) where it says so and where it does not, of follow-ups half of which are.
    said_dsat: Annotated[float, Interval(ge=0.5, lt=1)] = 0.9
    said_other: Annotated[float, Interval(gt=0, le=0.5)] = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningOptions:
    """What an analyst may set. Thresholds left out are those that the detector's card states."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    detector: str = "default"  # "default", or the path of a detector's folder
    threshold: Annotated[float, Interval(ge=0, le=1)] | None = None  # reported as DSAT from here
    # Trained on from here: higher, since a wrong negative teaches the model the opposite.
    trainable_threshold: Annotated[float, Interval(ge=0, le=1)] | None = None
    encoder: Asked = Asked.UNCERTAIN
    # Of a night's trainable turns, at most so many to prompts that are nearly the same, and so
    # many of one user: a batch that few people wrote teaches their habits.
    max_per_prompt: Annotated[int, Ge(1)] = 1
    max_per_user: Annotated[int, Ge(1)] = 20
    workers: Annotated[int, Ge(1)] = 1  # processes; 1 runs in this one
    judge: JudgeOptions = field(default_factory=JudgeOptions)
