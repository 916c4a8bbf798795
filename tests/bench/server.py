"""A loopback server for the benchmark, run as a process of its own; it prints its port.

The model's name says what it answers: `deltas-20000-chunk-16` is 20,000 text deltas of four
characters, 16 in an HTTP chunk, in one burst; `rate-500` gives each a chunk of its own, at that
pace; `size-1000` is one more delta of so many bytes; `formula-250` makes the text paragraphs with
a formula in every 250 characters, instead of a list. The first text of an answer is
`RECEIVED SENT `, in nanoseconds of the monotonic clock, which the processes of a machine share:
so a client can leave the server's own time out.
"""

import asyncio
import json
import re
import socket
import time
from functools import cache

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
STAMP = b"@" * 42  # as long as the two times, since a chunk begins with its length
WORDS = ("The ", "sky ", "is  ", "blue", ".\n\n-", " the", " air", "'s  ", "most", "ly N")
LETTERS = 4  # of each delta but the first
FORMULA = "$x_{{{}}}^2 + \\frac{{a}}{{b}}$"
CODE = "```python\nfor k in range(10):\n    print(k)\n```\n\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_MODEL = re.compile(rb'"model": ?"([^"]*)"')


def event(kind: str, **fields: object) -> bytes:
    data = json.dumps({"type": kind, **fields}, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def delta(text: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def beginning() -> bytes:
    message = {"id": "5f0c", "type": "message", "role": "assistant", "model": "M", "content": []}
    block = {"type": "text", "text": ""}
    return event("message_start", message=message) + event(
        "content_block_start", index=0, content_block=block
    )


def ending(deltas: int) -> bytes:
    usage = {"input_tokens": 12, "output_tokens": deltas}
    return (
        event("content_block_stop", index=0)
        + event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
        + event("message_stop")
    )


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def options(model: str) -> dict[str, int]:
    """`deltas-5-chunk-2` as numbers by name; 0 where it says nothing."""
    parts = model.split("-")
    given = {name: int(value) for name, value in zip(parts[::2], parts[1::2], strict=True)}
    return {"deltas": 1, "chunk": 1, "rate": 0, "size": 0, "formula": 0, **given}


def prose(length: int, every: int) -> str:
    """Markdown of so many characters, in parts of `every` (200 at least) with a formula in each.

    A paragraph has two parts, with bold words and a piece of code; one of 40 begins with a block
    of code.
    """
    parts = []
    for number in range(-(-length // every)):
        code = CODE if number % 40 == 20 else ""
        begin = f"{code}Part {number} tells of a **bold** idea and of `code`,"
        end = f", so {FORMULA.format(number)} holds." + ("\n\n" if number % 2 else " ")
        words = " and words to fill the line" * every
        parts.append(begin + words[: every - len(begin) - len(end)] + end)
    return "".join(parts)[:length]


def texts(given: dict[str, int]) -> list[str]:
    """The text of each delta after the first."""
    count = given["deltas"] - 1
    if given["formula"]:
        text = prose(LETTERS * count, given["formula"])
        return [text[at : at + LETTERS] for at in range(0, len(text), LETTERS)]
    return [WORDS[i % len(WORDS)] for i in range(1, count + 1)]


@cache
def burst(model: str) -> bytes:
    """A whole answer, made once; STAMP stands where the times belong."""
    given = options(model)
    deltas = [delta(text) for text in texts(given)]
    if given["size"]:
        deltas.append(delta("x" * given["size"]))
    each = given["chunk"]
    joined = (b"".join(deltas[at : at + each]) for at in range(0, len(deltas), each))
    first = chunk(beginning() + delta(STAMP.decode()))
    return b"".join([HEAD, first, *map(chunk, joined), chunk(ending(len(deltas))), END])


async def answer(model: str, received: int, writer: asyncio.StreamWriter) -> None:
    given = options(model)
    stamp = b"%020d %020d " % (received, time.monotonic_ns())
    if not given["rate"]:
        writer.write(burst(model).replace(STAMP, stamp, 1))
        return
    writer.write(HEAD + chunk(beginning() + delta(stamp.decode())))
    begin = time.monotonic()
    for i, text in enumerate(texts(given), start=1):
        if (ahead := begin + i / given["rate"] - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        writer.write(chunk(delta(text)))
    writer.write(chunk(ending(given["deltas"])) + END)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection, until the client closes it."""
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            received = time.monotonic_ns()
            model = _MODEL.search(body)
            assert model is not None, "the request names no model"
            await answer(model[1].decode(), received, writer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
