"""Settings of a log shape of one's own: section [ingestion.mapping] of driftmine.toml."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Where in a record the parts of a conversation lie: names of fields, dotted where they nest.

    Either `messages`, `role` and `content`, or `user_text` (docs/formats.md).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    id: str = ""  # of the conversation
    messages: str = ""  # the list of messages
    role: str = ""  # in a message, as are those below, unless they begin with "record."
    content: str = ""
    time: str = ""
    model: str = ""
    language: str = ""
    rating: str = ""
    thumb: str = ""
    regenerated: str = ""
    edited: str = ""
    flagged: str = ""
    user_text: str = ""  # in place of messages: what the user asked
    assistant_text: str = ""  # and was answered
    user: str = ""
    country: str = ""
    opt_out: str = ""
    # The log's word for a role -> ours, for words that docs/formats.md does not list.
    roles: dict[str, Literal["system", "user", "assistant", "tool"]] = field(default_factory=dict)
