"""Settings of an endpoint; the section that holds them adds what it is asked for."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOptions:
    """Where a model is asked, and how much at most."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    called: ClassVar[str] = "the judge"  # in messages

    base_url: str = ""  # of the API, such as https://host/v1; "" = nobody is asked
    model: str = ""
    api_key_env: str = ""  # NAME of the environment variable that holds the key; "" = none
    allow_http: bool = False  # to another machine, where whoever listens reads texts and key
    timeout_s: Annotated[float, Gt(0)] = 30  # of one request, from its start to its last byte
    attempts: Annotated[int, Ge(1)] = 4  # at one question
    concurrency: Annotated[int, Ge(1)] = 4  # requests at once, of each process
    max_reply_tokens: Annotated[int, Ge(16)] = 200
    # The budget of one night, or of one command. A request counts, also where it fails.
    max_calls: Annotated[int, Ge(0)] = 1000
    max_tokens: Annotated[int, Ge(0)] | None = None  # in and out together
    max_cost: Annotated[float, Ge(0)] | None = None  # in the unit of the prices
    price_in: Annotated[float, Ge(0)] = 0  # of a million tokens
    price_out: Annotated[float, Ge(0)] = 0
    store: str = "judge.sqlite"  # file of answers and costs
