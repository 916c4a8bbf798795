"""A real HTTP server on 127.0.0.1 for tests: it does as told, and sees what the client does.

    with Loopback([head(), chunk(b"data: …"), stall]) as server:
        …                                     # ask server.url
        assert server.requests[0].json["model"] == "MiniMax-M2.7"
        assert server.connections[0].closed.wait(1)

An answer is a list of steps, or one callable that takes a Connection. The n-th request gets the
n-th answer; the last one serves all that follow. Nothing here is a mock of the project's code.
"""

import json
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias

Event: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Recorded:
    """A request as it came. Header names are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: "Connection"
    at: float  # time.monotonic()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(eq=False)
class Connection:
    """One connection of a client. `closed` is set when the client has closed it, at `closed_at`.

    `request` is the one that is being answered.
    """

    server: "Loopback"
    socket: socket.socket
    closed: threading.Event = field(default_factory=threading.Event)
    closed_at: float | None = None  # time.monotonic()
    served: int = 0  # requests
    request: "Recorded" = field(init=False)
    _waiting: "queue.SimpleQueue[tuple[Recorded, Sequence[Step]] | None]" = field(
        default_factory=queue.SimpleQueue
    )
    _is_open: bool = True

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def wait(self, event: threading.Event, seconds: float = 30) -> None:
        """Go on when the event is set, the client has closed, or the server is stopped."""
        limit = time.monotonic() + seconds
        while not (event.is_set() or self.closed.is_set() or self.server.stopping.is_set()):
            if time.monotonic() > limit:
                raise AssertionError("a loopback answer waited too long")
            event.wait(0.005)

    def reset(self) -> None:
        """Close with RST: what a dying machine does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._close(socket.SHUT_RD)

    def close(self) -> None:
        """Close from this side."""
        self._close(socket.SHUT_RDWR)

    def _close(self, how: int) -> None:
        self._is_open = False
        with suppress(OSError):
            self.socket.shutdown(how)  # wakes the reading thread, which holds the socket open
        self.socket.close()

    def serve(self) -> None:
        """Answer the requests of this connection, one after another."""
        try:
            while (taken := self._waiting.get()) is not None:
                self.request, answer = taken
                self.served += 1
                for step in answer:
                    step(self)
                    if not self._is_open:
                        return
                if self.request.headers.get("connection") == "close":
                    self.close()
        except OSError:
            pass  # the client went away, or the test is over

    def read(self) -> None:
        """Take in requests, and see the end, also while an answer is on its way."""
        try:
            while (request := self._read_request()) is not None:
                self._waiting.put((request, self.server.take(request)))
        except OSError:
            pass
        if self._is_open:
            self.closed_at = time.monotonic()
            self.closed.set()
        self._waiting.put(None)

    def _read_request(self) -> Recorded | None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.socket.recv(65536)
            if not data:
                return None
            head += data
            if not head[:1].isalpha():
                # A TLS handshake, or a stranger on this machine who looks for another server at
                # this port: it is answered as a plain HTTP server does, and nobody waits for it.
                self.send(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
                self.closed.set()
                self.close()
                return None
        head, _, body = head.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        while len(body) < int(headers.get("content-length", 0)):
            data = self.socket.recv(65536)
            if not data:  # the client stopped in the middle of its request
                return None
            body += data
        method, path, _ = first.split(" ")
        return Recorded(method, path, headers, body, self, time.monotonic())


Step: TypeAlias = Callable[[Connection], None]
Answer: TypeAlias = Step | Sequence[Step]


class Loopback:
    """The server. `requests` and `connections` are in the order in which they came."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[Recorded] = []
        self.connections: list[Connection] = []
        self.arrived = threading.Event()  # a request has come
        self.stopping = threading.Event()
        self._answers = [[a] if callable(a) else list(a) for a in answers]
        self._next = 0
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def json(self) -> Any:
        """The body of the only request."""
        (request,) = self.requests
        return request.json

    def close(self) -> None:
        """Close everything, and wait for all threads."""
        self.stopping.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(5)
        self._socket.close()
        for connection in self.connections:
            connection.close()
        for thread in self._threads:
            thread.join(5)

    def take(self, request: Recorded) -> Sequence[Step]:
        """Note a request, and give its answer: the first one gets the first, and so on."""
        with self._lock:
            place = min(self._next, len(self._answers) - 1)
            self._next += 1
            self.requests.append(request)
        self.arrived.set()
        return self._answers[place]

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                accepted, _ = self._socket.accept()
            except OSError:
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, accepted)
            self.connections.append(connection)
            self._start(connection.read)
            self._start(connection.serve)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()


# Steps


def send(data: bytes) -> Step:
    """Bytes as they are."""
    return lambda connection: connection.send(data)


def head(
    status: int = 200,
    content_type: str = "text/event-stream",
    *,
    length: int | None = None,
    **more: str,
) -> Step:
    """The status line and the headers; a chunked body follows, or one of `length` bytes.

    `more` are further headers, `_` for `-`.
    """
    headers = {"content-type": content_type}
    headers |= (
        {"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}
    )
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return send(f"HTTP/1.1 {status} OK\r\n{lines}\r\n".encode("latin-1"))


def chunk(data: bytes) -> Step:
    """One chunk of a chunked body."""
    return send(b"%x\r\n%b\r\n" % (len(data), data))


END: Step = send(b"0\r\n\r\n")
"""The proper end of a chunked body: the connection can be used again."""


def until(event: threading.Event) -> Step:
    """Wait for the test."""
    return lambda connection: connection.wait(event)


def pause(seconds: float) -> Step:
    """Let some time go by, as a slow server does."""

    def wait(connection: Connection) -> None:
        connection.closed.wait(seconds)

    return wait


def every(seconds: float, data: bytes) -> Step:
    """A chunk again and again, until the client closes."""

    def repeat(connection: Connection) -> None:
        while not (connection.closed.wait(seconds) or connection.server.stopping.is_set()):
            chunk(data)(connection)

    return repeat


def stall(connection: Connection) -> None:
    """Say nothing more, and keep the connection open until the client closes it."""
    connection.wait(connection.closed, 60)


def close(connection: Connection) -> None:
    """Close properly (FIN)."""
    connection.close()


def reset(connection: Connection) -> None:
    """Close with RST."""
    connection.reset()


# Whole answers


def sse(*events: Event) -> bytes:
    """Events as the service sends them."""
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
        for event in events
    )


def captured(
    thinking: str = "The sky scatters blue light.", text: str = "\n\nRayleigh scattering."
) -> list[Event]:
    """The events of one answer in the shape that captures of the service show."""
    message: Event = {
        "id": "05b5f1f5c0e34f0d9d3a0c8d2f6b7a11",
        "type": "message",
        "role": "assistant",
        "model": "MiniMax-M2.7",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
        "service_tier": "standard",
    }
    usage = {
        "input_tokens": 39,
        "output_tokens": 41,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": None,
    }
    return [
        {"type": "message_start", "message": message},
        {"type": "ping"},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": ""},
        },
        delta(0, "thinking_delta", thinking=thinking),
        delta(0, "signature_delta", signature="5f" * 32),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        delta(1, "text_delta", text=text),
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]


def delta(index: int, kind: str, **content: str) -> Event:
    """One content_block_delta."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **content}}


def streamed(events: Iterable[Event] | None = None) -> list[Step]:
    """A whole stream, one chunk an event, properly ended."""
    return [head(), *(chunk(sse(event)) for event in events or captured()), END]


def numbered(count: int = 8) -> list[list[Step]]:
    """Whole streams whose texts are "answer 1", "answer 2" and so on."""
    return [streamed(captured(text=f"answer {n}")) for n in range(1, count + 1)]


def whole(status: int, body: object, content_type: str = "application/json", **more: str) -> Step:
    """A whole answer in one: bytes, or a value for JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(connection: Connection) -> None:
        head(status, content_type, length=len(data), **more)(connection)
        connection.send(data)

    return answer


def failure(status: int, message: str, kind: str = "api_error", **more: str) -> Step:
    """An error as the service sends it."""
    error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req-7"}
    return whole(status, error, **more)


def typed(text: str, *, thinking: str = "I think.", speed: float = 100) -> list[Step]:
    """A stream of deltas of four characters, `speed` a second, in chunks of their own."""
    before, (block, _), after = captured(thinking)[:6], captured()[6:8], captured()[8:]
    steps: list[Step] = [head(), chunk(sse(*before, block))]
    for at in range(0, len(text), 4):
        steps += [chunk(sse(delta(1, "text_delta", text=text[at : at + 4]))), pause(1 / speed)]
    return [*steps, chunk(sse(*after)), END]
