"""Settings of sampling by an endpoint: section [training.endpoint] of driftmine.toml."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt

from endpoint.options import EndpointOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerOptions(EndpointOptions):
    """Where the policy is served that is trained. `model`: its name there; "" = its version's.

    `max_reply_tokens` has no effect here: [training] max_new_tokens counts.
    """

    called: ClassVar[str] = "[training.endpoint]"

    timeout_s: Annotated[float, Gt(0)] = 300  # an answer waits for those before it, and is long
    concurrency: Annotated[int, Ge(1)] = 32  # requests at once: the server batches them
    max_calls: Annotated[int, Ge(0)] = 10_000  # of one day, of UTC
    store: str = "samples.sqlite"  # file of drawn answers and costs
