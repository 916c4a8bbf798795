"""A server for many rows, run as a process of its own: it prints its port.

Each request is answered after so many seconds (the first word of the command line) with the same
short stream. With a second word, a number, so many are answered at a time; the others wait.
"""

import asyncio
import json
import sys
from collections import deque
from typing import Any, ClassVar, cast

LATENCY = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
AT_A_TIME = float(sys.argv[2]) if len(sys.argv) > 2 else float("inf")
TEXT = "positive: a good film."


def event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def delta(text: str) -> str:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "M", "content": []}
BODY = "".join(
    [
        event("message_start", message=MESSAGE),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(delta(TEXT[at : at + 4]) for at in range(0, len(TEXT), 4)),
        event("content_block_stop", index=0),
        event(
            "message_delta",
            delta={"stop_reason": "end_turn"},
            usage={"input_tokens": 20, "output_tokens": 9},
        ),
        event("message_stop"),
    ]
).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(BODY)
    + BODY
)


class Connection(asyncio.Protocol):
    """One connection: a request is read to its end, and answered a little later."""

    answered = 0
    waiting: ClassVar[deque["Connection"]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._came = b""

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, found, body = self._came.partition(b"\r\n\r\n")
        lengths = [
            line[15:] for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"
        ]
        if found and len(body) >= int(lengths[0] if lengths else 0):
            self._came = b""
            self.waiting.append(self)
            self._begin()

    def _begin(self) -> None:
        """Begin the answer to who has waited longest, if one more may be answered."""
        if self.waiting and Connection.answered < AT_A_TIME:
            Connection.answered += 1
            first = self.waiting.popleft()
            asyncio.get_running_loop().call_later(LATENCY, first._answer)

    def _answer(self) -> None:
        Connection.answered -= 1
        if not self._transport.is_closing():
            self._transport.write(ANSWER)
        self._begin()


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
