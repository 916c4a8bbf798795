"""HTTP over the network. The only module that imports httpx.

One SSL context a process, and httpx clients of one event loop, made at need; they live until their
loop ends. Redirects are not followed.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from urllib.request import getproxies
from weakref import WeakKeyDictionary

import httpx

from mm_magic.errors import NetworkError, ProtocolError, UsageError
from mm_magic.protocol.redaction import RedactedBody, redacted
from mm_magic.transport.body import silent
from mm_magic.transport.coalesce import gathered
from mm_magic.transport.endpoint import Endpoint, is_loopback
from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.proxies import Proxy, proxy_for

CONNECT_SECONDS = 5.0
_AT_ONCE = 8  # requests in flight that one client has
_UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""httpx's errors of a request that never left."""
_READ_BYTES = 1024 * 1024  # 100 kB can be unpacked to 64 MB, and those be 11 million events


class Network:
    """Sends HTTP requests. One serves any number of event loops and threads.

    `silence` is how many seconds may pass without a byte.
    """

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()

    async def aclose(self) -> None:
        """Close the connections of the running loop; the next request makes new ones."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.aclose()

    @asynccontextmanager
    async def exchange(
        self, endpoint: Endpoint, method: str, path: str, body: bytes | None
    ) -> AsyncIterator[Exchange]:
        """One HTTP exchange. Raises NetworkError, ProtocolError, and UsageError for a bad proxy."""
        loop = asyncio.get_running_loop()
        if (pool := self._pools.get(loop)) is None:
            pool = self._pools[loop] = _Pool(self._silence)
        sent = time.monotonic()
        async with pool.client(endpoint) as http:
            response = await self._sent(http, endpoint, method, path, body)
            try:
                headers = _answered(response, endpoint)
                chunks = self._timed(response, sent, endpoint)
                yield Exchange(response.status_code, headers, chunks, is_live=True)
            finally:
                await response.aclose()

    async def _sent(
        self,
        http: httpx.AsyncClient,
        endpoint: Endpoint,
        method: str,
        path: str,
        body: bytes | None,
    ) -> httpx.Response:
        """The answer to a request when it begins."""
        try:
            request = http.build_request(
                method, endpoint.base_url + path, content=body, headers=_headers(endpoint, body)
            )
            async with asyncio.timeout(self._silence):
                return await http.send(request, stream=True)
        except (TimeoutError, httpx.ReadTimeout):
            raise silent(f"the server did not begin to answer within {self._silence:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            # UnicodeError: a host name that the name service's encoding can't hold
            raise _network_error(error, endpoint) from None

    async def _timed(self, response: httpx.Response, sent: float, endpoint: Endpoint) -> Reads:
        """The reads of a body, without a key that is in it, and httpx's errors in our words."""
        body = RedactedBody(endpoint.revealed_key())
        is_compressed = "content-encoding" in response.headers
        pieces = _decompressed(response, self._silence) if is_compressed else _raw(response)
        try:
            async with aclosing(gathered(pieces)) as reads:
                async for data in reads:
                    seconds = time.monotonic() - sent
                    data = body.take(data)
                    for at in range(0, len(data), _READ_BYTES):
                        if at:
                            await asyncio.sleep(0)  # a stop comes through
                        yield seconds, data[at : at + _READ_BYTES]
            if rest := body.flush():
                yield time.monotonic() - sent, rest
        except (TimeoutError, httpx.ReadTimeout):
            raise silent(
                f"the server stopped sending: nothing arrived for {self._silence:g} s"
            ) from None
        except httpx.DecodingError:
            raise ProtocolError("the answer could not be decompressed") from None
        except httpx.HTTPError as error:
            raise _network_error(error, endpoint) from None


@dataclass(slots=True, eq=False)
class _Client:
    """One httpx client, and how many requests it has in flight."""

    http: httpx.AsyncClient
    in_flight: int = 0


class _Pool:
    """The httpx clients of one event loop: one for each server, and more for many requests at once.

    A client looks through all of its connections at the beginning and the end of each request, and
    two requests that begin together may choose the same one: with 64 in flight that takes more time
    than all else.

    They are held by an asynchronous generator, since a loop closes those when it ends: after
    `asyncio.run` no connection is left open, and nobody has to call anything.
    """

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._clients: dict[str, list[_Client]] = {}
        self._holder: AsyncGenerator[None, None] | None = None

    @asynccontextmanager
    async def client(self, endpoint: Endpoint) -> AsyncIterator[httpx.AsyncClient]:
        """A client for one request to this server."""
        if self._holder is None:
            self._holder = self._hold()
            await anext(self._holder)
        client = self._free(endpoint)
        client.in_flight += 1
        try:
            yield client.http
        finally:
            client.in_flight -= 1

    def _free(self, endpoint: Endpoint) -> _Client:
        clients = self._clients.setdefault(endpoint.base_url, [])
        for client in clients:
            if client.in_flight < _AT_ONCE:
                return client
        clients.append(_Client(_new_client(endpoint, self._silence)))
        return clients[-1]

    async def aclose(self) -> None:
        if self._holder is not None:
            await self._holder.aclose()

    async def _hold(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._holder = None  # it refers to its loop, and would keep that in memory
            while self._clients:
                for client in self._clients.popitem()[1]:
                    await client.http.aclose()


def _new_client(endpoint: Endpoint, silence: float) -> httpx.AsyncClient:
    proxy = _proxy(endpoint)
    try:
        return httpx.AsyncClient(
            verify=_ssl_context() if endpoint.is_https else _no_certificates(),
            trust_env=False,
            proxy=None if proxy is None else proxy.url,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS, read=silence),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )
    except OSError:
        raise UsageError(
            "the certificate file can't be read",
            next_steps=("Check the environment variables SSL_CERT_FILE and SSL_CERT_DIR.",),
        ) from None
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        assert proxy is not None  # nothing else can be wrong
        raise _proxy_error(error, proxy.variable) from None


def _proxy(endpoint: Endpoint) -> Proxy | None:
    """The proxy for a server; this machine is never reached through one."""
    return None if endpoint.is_loopback else proxy_for(endpoint.base_url, getproxies())


def _proxy_error(error: Exception, variable: str) -> UsageError:
    """What is wrong with a proxy. httpx's text holds the address, with its password."""
    if isinstance(error, ImportError):
        return UsageError(
            "a SOCKS proxy is set, but the package for it is missing",
            next_steps=('To install it: pip install "httpx[socks]"', f"Or unset {variable}."),
        )
    return UsageError(
        f"the environment variable {variable} is not a proxy address",
        next_steps=(f"Write it as http://HOST:PORT, or unset {variable}.",),
    )


@cache
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # 20 ms: it reads all certificates


@cache
def _no_certificates() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for http://: trusts nobody, costs nothing


def _headers(endpoint: Endpoint, body: bytes | None) -> dict[str, str]:
    """Bearer only: httpx forwards `x-api-key` to other hosts on a redirect, and prints it."""
    headers = {
        "accept": "text/event-stream, application/json",
        "accept-encoding": "identity",  # a compressing proxy holds deltas back
        "anthropic-version": "2023-06-01",  # the later version has no temperature and top_p
        "user-agent": "mm_magic",
    }
    if body is not None:
        headers["content-type"] = "application/json"
    if endpoint.key is not None:
        headers["authorization"] = f"Bearer {endpoint.revealed_key()}"
    return headers


def _answered(response: httpx.Response, endpoint: Endpoint) -> dict[str, str]:
    """The headers of an answer, by their names in lower case, without a key in them."""
    return {
        name.lower(): redacted(value, endpoint.revealed_key())
        for name, value in response.headers.items()
    }


def _raw(response: httpx.Response) -> AsyncIterable[bytes]:
    """The reads as they come: httpx's own iterators are two more steps for each, 0.6 µs."""
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    return stream


async def _decompressed(response: httpx.Response, silence: float) -> AsyncGenerator[bytes, None]:
    """What compressed reads hold. Bytes can come for ever that hold nothing: TimeoutError."""
    reads = response.aiter_bytes()
    with suppress(StopAsyncIteration):
        while True:
            async with asyncio.timeout(silence):
                data = await anext(reads)
            yield data


def _network_error(error: Exception, endpoint: Endpoint) -> NetworkError:
    """httpx's error in our words. Its own text can hold an address with a proxy's password."""
    failure = _in_our_words(error, endpoint)
    failure.was_sent = isinstance(error, httpx.TransportError) and not isinstance(error, _UNSENT)
    return failure


def _in_our_words(error: Exception, endpoint: Endpoint) -> NetworkError:
    where, proxy = endpoint.host, _proxy(endpoint)
    if isinstance(error, httpx.TimeoutException):
        return NetworkError(
            f"no connection to {where} within {CONNECT_SECONDS:g} s",
            kind="timeout",
            retryable=True,
            next_steps=("Check the network, the VPN (if you use one) and the proxy settings.",),
        )
    if isinstance(error, httpx.ProxyError):
        return NetworkError(
            "the proxy did not let the request through",
            kind="connection",
            next_steps=_check(proxy),
        )
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | UnicodeError):
        return NetworkError("MINIMAX_BASE_URL is not a valid address", kind="connection")
    if isinstance(error, httpx.ConnectError):
        return _connect_error(error, where, proxy)
    return NetworkError(f"the connection to {where} was lost", kind="connection", retryable=True)


def _check(proxy: Proxy | None) -> tuple[str, ...]:
    return (f"Check the environment variables {proxy.variable} and NO_PROXY.",) if proxy else ()


def _connect_error(error: httpx.ConnectError, where: str, proxy: Proxy | None) -> NetworkError:
    text = str(error)
    if "CERTIFICATE" in text.upper():
        return NetworkError(
            f"the connection to {where} is not secure: its certificate was not accepted",
            kind="connection",
            next_steps=(
                "If a company proxy intercepts the connection, "
                "set SSL_CERT_FILE to its certificate.",
                "Check this computer's date.",
            ),
        )
    if "SSL" in text:
        return NetworkError(
            f"{where} does not use TLS, which https:// needs",
            kind="connection",
            next_steps=("Check MINIMAX_BASE_URL: your own server may need http://.",),
        )
    refused = _was_refused(error)
    if proxy is not None:
        what = f"the proxy in {proxy.variable}"
        return NetworkError(
            f"{what} refused the connection" if refused else f"{what} could not be reached",
            kind="connection",
            retryable=True,
            next_steps=_check(proxy),
        )
    return NetworkError(
        f"{where} refused the connection" if refused else f"{where} could not be reached",
        kind="connection",
        retryable=True,
        next_steps=(
            "Check MINIMAX_BASE_URL, and that the server is running."
            if is_loopback(where)
            else "Check the network, MINIMAX_BASE_URL and the proxy settings.",
        ),
    )


def _was_refused(error: BaseException | None) -> bool:
    """Whether a refusal is behind the error: its own text says "attempts failed" for all causes."""
    if isinstance(error, BaseExceptionGroup):  # one for each address of the name
        return any(_was_refused(each) for each in error.exceptions)
    if error is None or isinstance(error, ConnectionRefusedError):
        return error is not None
    return _was_refused(error.__cause__ or error.__context__)  # httpcore drops the cause
