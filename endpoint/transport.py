"""One request to a chat endpoint and its reply: bounded in time and bytes, and never raising."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import httpx
import msgspec

from endpoint.access import address, headers
from endpoint.options import EndpointOptions
from endpoint.outcome import Outcome
from endpoint.timing import Timing

REPLY_BYTES = 1 << 20  # a few hundred tokens are some kilobytes; more is no chat completion
_CHUNK_BYTES = 1 << 14

Messages = Sequence[Mapping[str, str]]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """How words are drawn: the likeliest ones, where nothing else is said."""

    temperature: float = 0
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = None  # of one reply; None: the options' max_reply_tokens
    n: int | None = None  # replies to one request


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One reply, and why it ended, in the server's word."""

    text: str
    finish_reason: str | None


class Reply(msgspec.Struct, frozen=True):
    """The model's words; tokens where the server counts them, of all choices together."""

    choices: tuple[Choice, ...]  # one, where no more were asked for
    tokens: tuple[int, int] | None  # in, out

    @property
    def text(self) -> str:
        """Of the first choice."""
        return self.choices[0].text


class Served(msgspec.Struct, frozen=True):
    """A model that the server names."""

    id: str
    root: str | None = None  # where its weights were loaded from, as vLLM says it


class Failed(msgspec.Struct, frozen=True, gc=False):
    """A request without a reply."""

    outcome: Outcome
    is_billed: bool = False  # it may have reached the model
    retry_after: str | None = None


class _Said(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Said
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0


class _Completion(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    usage: _Usage | None = None


class _List(msgspec.Struct):
    data: list[Served]


class Transport:
    """An endpoint that requests are sent to; threads may share it. Raises SettingsError."""

    def __init__(self, options: EndpointOptions, timing: Timing) -> None:
        self._url = address(options)
        self._options = options
        self._timing = timing
        self._decode = msgspec.json.Decoder(_Completion).decode
        self._http = httpx.Client(
            # Compressed bytes could expand beyond the limit before they are counted.
            headers={"Accept-Encoding": "identity", **headers(options)},
            timeout=options.timeout_s,
            follow_redirects=False,
            # A proxy of the environment must not be handed what is meant for this machine.
            trust_env=self._url.startswith("https:"),
            limits=httpx.Limits(max_connections=options.concurrency),
        )

    def send(self, messages: Messages, drawing: Drawing | None = None) -> Reply | Failed:
        """Ask once."""
        drawing = drawing or Drawing()
        payload = {
            "model": self._options.model,
            "messages": messages,
            "temperature": drawing.temperature,
            "max_tokens": drawing.max_tokens or self._options.max_reply_tokens,
        }
        # Only what is said: not every server knows every word.
        for name in ("top_p", "seed", "n"):
            if (value := getattr(drawing, name)) is not None:
                payload[name] = value
        body = self._exchange("POST", self._url, msgspec.json.encode(payload))
        if isinstance(body, Failed):
            return body
        try:
            found = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return Failed(Outcome.UNREADABLE, is_billed=True)
        usage = found.usage
        return Reply(
            tuple(Choice(c.message.content or "", c.finish_reason) for c in found.choices),
            None if usage is None else (usage.prompt_tokens, usage.completion_tokens),
        )

    def served(self) -> list[Served] | Failed:
        """The models that the server names."""
        body = self._exchange("GET", self._url.removesuffix("/chat/completions") + "/models", None)
        if isinstance(body, Failed):
            return body
        try:
            return msgspec.json.decode(body, type=_List).data
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return Failed(Outcome.UNREADABLE)

    def _exchange(self, method: str, url: str, content: bytes | None) -> bytearray | Failed:
        # httpx bounds the wait for each chunk, and not for all of them.
        deadline = self._timing.clock() + self._options.timeout_s
        kind = {"Content-Type": "application/json"} if content is not None else {}
        try:
            with self._http.stream(method, url, content=content, headers=kind) as response:
                return self._read(response, deadline)
        except (httpx.ConnectTimeout, httpx.PoolTimeout):
            return Failed(Outcome.TIMED_OUT)
        except httpx.TimeoutException:
            return Failed(Outcome.TIMED_OUT, is_billed=True)
        except httpx.ConnectError:
            return Failed(Outcome.NO_CONNECTION)
        except httpx.RequestError:
            return Failed(Outcome.NO_CONNECTION, is_billed=True)

    def _read(self, response: httpx.Response, deadline: float) -> bytearray | Failed:
        failure = _of_status(response)
        if failure is not None:
            return failure
        body = bytearray()
        for chunk in response.iter_raw(_CHUNK_BYTES):
            body += chunk
            if len(body) > REPLY_BYTES:
                return Failed(Outcome.TOO_LARGE, is_billed=True)
            if self._timing.clock() > deadline:
                return Failed(Outcome.TIMED_OUT, is_billed=True)
        if "json" not in response.headers.get("Content-Type", ""):
            return Failed(Outcome.UNREADABLE, is_billed=True)
        return body

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


def _of_status(response: httpx.Response) -> Failed | None:
    status = response.status_code
    if status < 300:
        return None
    if status < 400:
        return Failed(Outcome.REDIRECTED)
    if status in (408, 429):
        return Failed(Outcome.RATE_LIMITED, retry_after=response.headers.get("Retry-After"))
    if status < 500:
        return Failed(Outcome.REFUSED)
    return Failed(Outcome.SERVER_ERROR, retry_after=response.headers.get("Retry-After"))
