"""A chat endpoint on loopback that answers, and misbehaves, as a test tells it to."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler"], None]


class ChatServer(ThreadingHTTPServer):
    """Does for its n-th request what `script` says n-th; the last entry is for all after it."""

    daemon_threads = True

    def __init__(self, *script: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = list(script)
        self.seen: list[dict[str, Any]] = []  # bodies of the requests
        self.headers: list[dict[str, str]] = []
        self.at_once = 0  # the most requests that were open together
        self._open = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def next(self, body: dict[str, Any], headers: dict[str, str]) -> Behaviour:
        with self._lock:
            self.seen.append(body)
            self.headers.append(headers)
            self._open += 1
            self.at_once = max(self.at_once, self._open)
            return self.script[min(len(self.seen), len(self.script)) - 1]

    def done(self) -> None:
        with self._lock:
            self._open -= 1

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what many of these tests are about."""


class Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True  # or each reply waits 40 ms for the client's ACK
    server: ChatServer
    asked: dict[str, Any]

    def do_POST(self) -> None:
        self.asked = json.loads(
            self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}"
        )
        behave = self.server.next(self.asked, dict(self.headers))
        try:
            behave(self)
        finally:
            self.server.done()

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        pass

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def completion(text: str | None, tokens: tuple[int, int] | None = (100, 10)) -> bytes:
    found: dict[str, Any] = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    if tokens is not None:
        found["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    return json.dumps(found).encode()


def say(text: str | None, tokens: tuple[int, int] | None = (100, 10)) -> Behaviour:
    return lambda handler: handler.reply(200, completion(text, tokens))


def status(code: int, **headers: str) -> Behaviour:
    return lambda handler: handler.reply(code, b'{"error": "no"}', **headers)


def body(raw: bytes, **headers: str) -> Behaviour:
    return lambda handler: handler.reply(200, raw, **headers)


def reset(handler: Handler) -> None:
    linger = struct.pack("ii", 1, 0)  # close with RST
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


def half(handler: Handler) -> None:
    whole = completion("{}")
    handler.reply(200, whole[: len(whole) // 2], Content_Length=str(len(whole)))


@contextmanager
def serving(*script: Behaviour) -> Iterator[ChatServer]:
    server = ChatServer(*script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
