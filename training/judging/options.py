"""Settings of the judge of answers: section [training.judge] of driftmine.toml."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Interval

from endpoint.options import EndpointOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions(EndpointOptions):
    """A large language model that judges answers; off without a base_url."""

    timeout_s: Annotated[float, Gt(0)] = 60  # it writes an analysis before its verdict
    max_reply_tokens: Annotated[int, Ge(16)] = 600
    max_calls: Annotated[int, Ge(0)] = 5000  # of one evaluation; a comparison takes two
    # Of comparisons or ratings, the share without a verdict beyond which no figure is made.
    max_failed_share: Annotated[float, Interval(ge=0, le=1)] = 0.1
    # Also rate every answer that is compared, from 1 to 10: twice as many requests with it, for a
    # figure that decides nothing.
    rate: bool = False
