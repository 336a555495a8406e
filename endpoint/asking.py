"""Many questions to one model: cached, within a budget, some at once, answers in order."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

import msgspec

from endpoint.ledger import Ledger
from endpoint.options import EndpointOptions
from endpoint.outcome import NOT_ASKED, PASSING, Outcome, Unanswered
from endpoint.prompt import Prompt
from endpoint.timing import Timing
from endpoint.transport import Drawing, Failed, Messages, Reply, Transport

# Questions in a row that fail for the endpoint's sake; then it is taken to be down.
GIVE_UP_AFTER = 5
# Of a request beyond its texts: what a chat template adds to two or four messages.
_OVERHEAD_TOKENS = 64
_QUOTED_CHARS = 2_000  # of a reply in another shape, put before the model once more

Progress = Callable[[int, int, str], object]
T = TypeVar("T")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of some questions."""

    asked: int = 0  # questions that a request was sent for
    cached: int = 0  # answered before
    answered: int = 0  # of those asked
    failed: dict[str, int] = {}  # by outcome
    not_asked: dict[str, int] = {}  # by outcome
    requests: int = 0  # with repeated and repairing ones
    repaired: int = 0  # answered in the right shape when asked once more
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0


class Answers(msgspec.Struct, Generic[T], frozen=True):
    """An answer for each question, in order."""

    values: list[T | Unanswered]
    report: Report


class Account:
    """What one question came to. Filled by one thread."""

    def __init__(self) -> None:
        self.is_cached = False
        self.is_repaired = False
        self.requests = 0
        self.tokens_in = 0
        self.tokens_out = 0


class Asker(Generic[T]):
    """Asks one prompt of one model, for answers of one shape.

    `shape`: a msgspec type that forbids unknown fields, or drops them: they are not stored.
    `account`: whose budget is spent.
    Raises SettingsError where the options name no usable endpoint; asking raises nothing that an
    endpoint, a network or a store can be the cause of.
    """

    what = "questions to the judge"  # of the progress

    def __init__(
        self,
        options: EndpointOptions,
        prompt: Prompt,
        shape: type[T],
        *,
        account: str,
        timing: Timing | None = None,
    ) -> None:
        timing = timing or Timing()
        self._options = options
        self._prompt = prompt
        self._decoder = msgspec.json.Decoder(shape)
        self._timing = timing
        self._transport = Transport(options, timing)
        self._ledger = Ledger(options, account=account, prompt=prompt.id, timing=timing)
        self._failures = 0  # in a row
        self._lock = threading.Lock()

    def ask(self, inputs: Sequence[str], progress: Progress | None = None) -> Answers[T]:
        """Ask about each input, which `as_data` made; equal ones are one question.

        `progress` is called in the calling thread; where it raises, what waits is not asked.
        """
        questions = list(dict.fromkeys(inputs))
        found: dict[str, tuple[T | Unanswered, Account]] = {}
        with ThreadPoolExecutor(self._options.concurrency) as pool:
            waiting = [pool.submit(self._ask, question) for question in questions]
            try:
                for question, future in zip(questions, waiting, strict=True):
                    found[question] = future.result()
                    if progress is not None:
                        progress(len(found), len(questions), self.what)
            except BaseException:
                self._failures = GIVE_UP_AFTER  # what is in flight is not tried again
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return Answers([found[text][0] for text in inputs], self._report(found.values()))

    def close(self) -> None:
        """Let go of connections and store."""
        self._transport.close()
        self._ledger.close()

    def _ask(self, question: str) -> tuple[T | Unanswered, Account]:
        account = Account()
        try:
            return self._answer(question, account), account
        except (sqlite3.Error, OSError):
            # Without its store a budget cannot be kept.
            return Unanswered(Outcome.STORE_UNUSABLE), account

    def _answer(self, question: str, account: Account) -> T | Unanswered:
        key = self._key(question)
        kept = self._ledger.answer(key)
        answer = None if kept is None else self._decoded(kept)
        if answer is not None:
            account.is_cached = True
            return answer
        messages = self._prompt.messages(question)
        reply = self._request(messages, account)
        if isinstance(reply, Unanswered):
            return reply
        answer = self._decoded(reply.text)
        if answer is None:
            said = {"role": "assistant", "content": reply.text[:_QUOTED_CHARS]}
            mended = {"role": "user", "content": self._prompt.repair}
            reply = self._request([*messages, said, mended], account)
            answer = None if isinstance(reply, Unanswered) else self._decoded(reply.text)
            account.is_repaired = answer is not None
        if answer is None:
            return Unanswered(Outcome.WRONG_SHAPE)
        self._ledger.keep(key, msgspec.json.encode(answer).decode())
        return answer

    def _key(self, question: str) -> str:
        options, prompt = self._options, self._prompt
        parts = [options.base_url, options.model, prompt.digest, question]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()

    def _decoded(self, text: str) -> T | None:
        """A reply as an answer; some models put JSON into a fence whatever they are told."""
        text = text.strip()
        if text.startswith("```") and text.endswith("```"):
            text = text.strip("`").removeprefix("json")
        try:
            return self._decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeError):
            return None

    def _request(
        self, messages: Messages, account: Account, drawing: Drawing | None = None
    ) -> Reply | Unanswered:
        """Send until there is a reply, a failure that lasts, or no budget."""
        # No tokenizer makes more tokens than a text has bytes.
        worst = _OVERHEAD_TOKENS + sum(len(m["content"].encode()) for m in messages)
        failure = Outcome.OVER_BUDGET
        for attempt in range(self._options.attempts):
            if self._failures >= GIVE_UP_AFTER:
                return Unanswered(failure if attempt else Outcome.GAVE_UP)
            row = self._ledger.reserve(worst, self._options.max_reply_tokens)
            if row is None:
                return Unanswered(failure)
            got = self._transport.send(messages, drawing)
            self._settle(row, got, worst, account)
            if isinstance(got, Reply):
                self._failures = 0
                return got
            failure = got.outcome
            wait = self._timing.wait(attempt, got.retry_after)
            if failure not in PASSING or wait is None or attempt + 1 == self._options.attempts:
                break
            self._timing.sleep(wait)
        with self._lock:
            self._failures += 1
        return Unanswered(failure)

    def _settle(self, row: int, got: Reply | Failed, worst: int, account: Account) -> None:
        if isinstance(got, Reply):
            outcome = Outcome.ANSWERED
            tokens = got.tokens or (worst, self._options.max_reply_tokens)
        else:
            outcome = got.outcome
            tokens = (worst, self._options.max_reply_tokens) if got.is_billed else (0, 0)
        self._ledger.settle(row, outcome, *tokens)
        account.requests += 1
        account.tokens_in += tokens[0]
        account.tokens_out += tokens[1]

    def _report(self, found: Iterable[tuple[T | Unanswered, Account]]) -> Report:
        pairs = list(found)
        outcomes = Counter(v.outcome for v, _ in pairs if isinstance(v, Unanswered))
        accounts = [account for _, account in pairs]
        tokens_in = sum(account.tokens_in for account in accounts)
        tokens_out = sum(account.tokens_out for account in accounts)
        cached = sum(account.is_cached for account in accounts)
        return Report(
            asked=sum(account.requests > 0 for account in accounts),
            cached=cached,
            answered=len(pairs) - outcomes.total() - cached,
            failed={k: n for k, n in outcomes.most_common() if k not in NOT_ASKED},
            not_asked={k: n for k, n in outcomes.most_common() if k in NOT_ASKED},
            requests=sum(account.requests for account in accounts),
            repaired=sum(account.is_repaired for account in accounts),
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost=self._ledger.cost(tokens_in, tokens_out),
        )
