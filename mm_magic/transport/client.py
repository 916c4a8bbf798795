"""Sends a request and yields the events of its answer, from a server, the demo or a recording.

Retries come before the first event only, and the exchange is closed however the answer ends.
"""

import asyncio
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    aclosing,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import quote, urlencode

from mm_magic.errors import MiniMaxError, NetworkError, UsageError
from mm_magic.protocol.failure import (
    TOO_MANY_CONNECTIONS,
    classify_error,
    classify_response,
    is_busy,
    retry_delay,
    unexpected_content,
)
from mm_magic.protocol.json_values import JsonObject, as_object, as_text, parse_json
from mm_magic.protocol.redaction import holds_key
from mm_magic.protocol.request import Request
from mm_magic.transport.body import AnswerReader, Batch, Clocks, drain, whole_body
from mm_magic.transport.endpoint import Endpoint
from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.limiter import Limiter, Place
from mm_magic.transport.made_once import made_once

if TYPE_CHECKING:
    from mm_magic.transport.network import Network

_ERROR_BODY_BYTES = 65_536

MAX_PAGES = 25
"""Of a list of models: a server can say for ever that there is more."""
_MAX_ID = 1000  # characters of a model's name that goes into an address

Tap: TypeAlias = Callable[[Exchange], Exchange]
"""Looks on while an exchange passes, and passes it on unchanged."""


@dataclass(frozen=True, slots=True)
class Retrying:
    """The service is busy: `attempt` of `retries` follows in `delay` seconds."""

    delay: float
    attempt: int
    retries: int
    error: MiniMaxError


@dataclass(slots=True)
class _Tries:
    """How often one request was sent again, by reason: each reason has a limit of its own.

    `patience` is the limit while the server is busy, None where such tries count as all others,
    whose limit is `retries`.
    """

    retries: int
    patience: int | None
    _busy: int = 0
    _others: int = 0
    _had_slow: bool = False

    @property
    def is_again(self) -> bool:
        """Whether it was sent again already."""
        return self._busy + self._others > 0

    def is_paced(self, error: MiniMaxError) -> bool:
        """Whether the server's limiter says when the next one goes out."""
        return self.patience is not None and is_busy(error)

    def delay(self, error: MiniMaxError, jitter: float) -> float | None:
        """Seconds that a server which fails so needs, None if another try can't help."""
        made = self._busy if self.is_paced(error) else self._others
        return retry_delay(error, made, jitter)

    def again(self, error: MiniMaxError, delay: float) -> Retrying | None:
        """Count one more; None if there were enough.

        Without patience, too many connections are waited for once only: the wait is long.
        """
        if self.is_paced(error):
            self._busy += 1
            made, limit = self._busy, self.patience or 0
        else:
            is_slow = error.code == TOO_MANY_CONNECTIONS
            if is_slow and self._had_slow:
                return None
            self._had_slow |= is_slow
            self._others += 1
            made, limit = self._others, self.retries
        return Retrying(delay, made, limit, error) if made <= limit else None


class Script(Protocol):
    """A backend without a network: the offline demo, a recording."""

    def answer(self, body: Mapping[str, object]) -> Exchange: ...


Source: TypeAlias = Endpoint | Script


class Client:
    """Sends requests. One serves any number of event loops and threads.

    `clocks` says how long an answer may stand still; `jitter` gives numbers in [0, 1).
    """

    def __init__(
        self,
        *,
        clocks: Clocks | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clocks = clocks or Clocks()
        self._jitter = jitter
        self._limiters: dict[str, Limiter] = {}

    @made_once
    def _network(self) -> "Network":
        from mm_magic.transport.network import Network  # httpx: only a server needs it

        return Network(self._clocks.silence)

    def limiter(self, server: Endpoint) -> Limiter:
        """What lets requests through to a server that are asked beside others."""
        found = self._limiters.get(server.base_url)
        return found or self._limiters.setdefault(server.base_url, Limiter())

    def wanting(self, source: Source | None, parallel: int) -> AbstractContextManager[None]:
        """While the body runs, so many requests to a server are wanted at a time."""
        if not isinstance(source, Endpoint):
            return nullcontext()
        return self.limiter(source).wanting(parallel)

    async def stream(
        self,
        source: Source,
        request: Request,
        *,
        retries: int,
        taps: Iterable[Tap] = (),
        patience: int | None = None,
    ) -> AsyncGenerator[Batch | Retrying, None]:
        """Yield what arrives, until the answer is over; each try passes through the `taps`.

        A request with `patience` goes through the server's limiter, and is tried so often again
        while the server is busy, beside the `retries` for other reasons. Raises MiniMaxError where
        no answer comes. An error in the middle of a stream is an event, and so is one that follows
        its first event.
        """
        tries = _Tries(retries, patience if isinstance(source, Endpoint) else None)
        while True:
            has_begun = False
            async with self._place(source, tries) as place:
                try:
                    async with self._answer(source, request, taps) as (chunks, answer):
                        seconds = 0.0
                        while (read := await _next(chunks, answer.left)) is not None:
                            seconds, data = read
                            if events := answer.feed(seconds, data):
                                if place is not None and not has_begun:
                                    place.took()
                                has_begun = True
                                yield Batch(seconds, events)
                            if answer.is_over:
                                await drain(chunks)
                                return
                        if events := answer.close():
                            has_begun = True
                            yield Batch(seconds, events)
                        return
                except MiniMaxError as error:
                    delay = tries.delay(error, self._jitter())
                    if delay is None:
                        raise
                    is_paced = tries.is_paced(error)
                    if place is not None and is_paced:
                        place.was_busy(delay)
                    notice = None if has_begun else tries.again(error, delay)
                    if notice is None:
                        raise
            yield notice
            if not is_paced:  # else the limiter waits, and all others with it
                await asyncio.sleep(notice.delay)

    def _place(self, source: Source, tries: _Tries) -> AbstractAsyncContextManager[Place | None]:
        """A place among the requests to a server; None for one that does not go by the limiter."""
        if tries.patience is None or not isinstance(source, Endpoint):
            return nullcontext()
        return self.limiter(source).place(is_first=tries.is_again)

    async def models(self, endpoint: Endpoint) -> list[str]:
        """The names of the models that the server offers: `GET /v1/models`, page by page.

        A page that can't be had, or that brings nothing new, ends the list; so does the last of
        MAX_PAGES. Raises MiniMaxError where the first page is none.
        """
        page = await self._page(endpoint, "/v1/models")
        names, asked = dict.fromkeys(_names(page)), {""}
        while len(asked) < MAX_PAGES and (after := _after(page)) not in asked:
            asked.add(after)
            known = len(names)
            try:
                page = await self._page(
                    endpoint, f"/v1/models?{urlencode({'after_id': after}, quote_via=quote)}"
                )
            except MiniMaxError:
                break
            names |= dict.fromkeys(_names(page))
            if len(names) == known:
                break
        return list(names)

    async def _page(self, endpoint: Endpoint, path: str) -> JsonObject:
        """A page of the list of models."""
        async with self._network.exchange(endpoint, "GET", path, None) as exchange:
            body = await whole_body(exchange, self._clocks)
        if exchange.status != 200:
            raise classify_response(exchange.status, exchange.headers, body)
        wire = as_object(parse_json(body))
        if not isinstance(wire.get("data"), list):
            if "error" in wire or "base_resp" in wire:
                raise classify_error(wire)
            raise unexpected_content(exchange.headers.get("content-type", ""), body)
        return wire

    async def aclose(self) -> None:
        """Close the connections of the running loop, for who is done before the loop ends."""
        await self._network.aclose()

    @asynccontextmanager
    async def _answer(
        self, source: Source, request: Request, taps: Iterable[Tap]
    ) -> AsyncIterator[tuple[Reads, AnswerReader]]:
        """Send the request once: the reads of the answer, and what makes events of them."""
        async with self._exchange(source, request) as exchange:
            for tap in taps:
                exchange = tap(exchange)
            async with aclosing(exchange.chunks) as chunks:
                if not 200 <= exchange.status < 300:
                    body = await whole_body(exchange, self._clocks, _ERROR_BODY_BYTES)
                    raise classify_response(exchange.status, exchange.headers, body)
                # A script that pauses goes on: only a server is waited for in vain.
                clocks = (
                    self._clocks if exchange.is_live else replace(self._clocks, ending=math.inf)
                )
                key = source.key if isinstance(source, Endpoint) else None
                yield chunks, AnswerReader(exchange.headers.get("content-type", ""), clocks, key)

    def _exchange(self, source: Source, request: Request) -> AbstractAsyncContextManager[Exchange]:
        if isinstance(source, Endpoint):
            body = request.encode()
            if holds_key(body, source.revealed_key()):
                raise _key_in_request()
            return self._network.exchange(source, "POST", "/v1/messages", body)
        return _played(source.answer(request.to_body()))


def _key_in_request() -> UsageError:
    """A key in a prompt goes to the model, and into every file that keeps the prompt."""
    return UsageError(
        "the request contains your API key, so it was not sent",
        next_steps=(
            "Remove the key from the prompt, or from the variable or function that it comes from.",
            "If an earlier turn holds it, forget that turn: `%minimax forget N`",
        ),
    )


def _names(page: JsonObject) -> list[str]:
    """The models on a page of the list."""
    listed = page.get("data")
    models = listed if isinstance(listed, list) else []
    return [name for model in models if (name := as_text(as_object(model).get("id")))]


def _after(page: JsonObject) -> str:
    """The model behind which the next page begins; "" if this page is the last."""
    if page.get("has_more") is not True:
        return ""
    last = as_text(page.get("last_id")) or next(reversed(_names(page)), "")
    return last if len(last) <= _MAX_ID else ""


def _next(chunks: Reads, limit: float) -> Awaitable[tuple[float, bytes] | None]:
    """The next read; None where the body has ended, or nothing came within `limit` seconds."""
    return anext(chunks, None) if limit == math.inf else _within(limit, anext(chunks, None))


async def _within(
    limit: float, read: Awaitable[tuple[float, bytes] | None]
) -> tuple[float, bytes] | None:
    try:
        async with asyncio.timeout(limit):
            return await read
    except TimeoutError:
        return None
    except NetworkError as error:
        if error.kind == "timeout":  # the clock of silence is a shorter limit
            return None
        raise


@asynccontextmanager
async def _played(exchange: Exchange) -> AsyncIterator[Exchange]:
    """A scripted exchange at its own pace and speed. Times stay those of the script."""

    async def paced() -> Reads:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        async with aclosing(exchange.chunks) as chunks:
            async for seconds, data in chunks:
                ahead = begin + seconds / exchange.speed - loop.time()
                await asyncio.sleep(max(0.0, ahead))  # also without a wait: a stop comes through
                yield seconds, data

    yield replace(exchange, chunks=paced())
