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


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The model's words; tokens where the server counts them."""

    text: str
    tokens: tuple[int, int] | None  # in, out


class Failed(msgspec.Struct, frozen=True, gc=False):
    """A request without a reply."""

    outcome: Outcome
    is_billed: bool = False  # it may have reached the model
    retry_after: str | None = None


class _Said(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Said


class _Usage(msgspec.Struct):
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0


class _Completion(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    usage: _Usage | None = None


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

    def send(self, messages: Messages) -> Reply | Failed:
        """Ask once."""
        payload = {
            "model": self._options.model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": self._options.max_reply_tokens,
        }
        # httpx bounds the wait for each chunk, and not for all of them.
        deadline = self._timing.clock() + self._options.timeout_s
        try:
            with self._http.stream(
                "POST",
                self._url,
                content=msgspec.json.encode(payload),
                headers={"Content-Type": "application/json"},
            ) as response:
                return self._read(response, deadline)
        except (httpx.ConnectTimeout, httpx.PoolTimeout):
            return Failed(Outcome.TIMED_OUT)
        except httpx.TimeoutException:
            return Failed(Outcome.TIMED_OUT, is_billed=True)
        except httpx.ConnectError:
            return Failed(Outcome.NO_CONNECTION)
        except httpx.RequestError:
            return Failed(Outcome.NO_CONNECTION, is_billed=True)

    def _read(self, response: httpx.Response, deadline: float) -> Reply | Failed:
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
        try:
            found = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return Failed(Outcome.UNREADABLE, is_billed=True)
        usage = found.usage
        return Reply(
            found.choices[0].message.content or "",
            None if usage is None else (usage.prompt_tokens, usage.completion_tokens),
        )

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
