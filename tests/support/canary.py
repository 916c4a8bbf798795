"""A key that can be recognised in any text, a server that repeats it, and ways to look for it."""

import base64

from support.loopback import (
    Connection,
    Event,
    captured,
    chunk,
    delta,
    failure,
    head,
    sse,
    stall,
    streamed,
    whole,
)

KEY = "sk-canary-Zq81-b1d5e7f0c3a94d26"
MODELS = whole(200, {"data": [{"id": "MiniMax-M2.7"}]})


def traces(key: str) -> list[str]:
    """The key, a half of it, and the forms in which it may hide."""
    half = len(key) // 2
    encoded = [base64.b64encode(b" " * n + key.encode()).decode() for n in range(3)]
    return [key[half:], key[: half + 4], key[::-1], key.encode().hex(), *(e[4:-4] for e in encoded)]


TRACES = traces(KEY)


def found_in(text: str) -> list[str]:
    return [trace for trace in TRACES if trace in text]


def answer(connection: Connection) -> None:
    """Answer as the prompt asks, and repeat the key that came, as careless servers do.

    It stands whole and in pieces in the thinking, in the text and in the arguments of a call.
    """
    request = connection.request
    said = request.headers.get("authorization", "")
    if request.method == "GET":
        MODELS(connection)
        return
    prompt = request.json["messages"][-1]["content"]
    if prompt == "fail":
        failure(401, f"no: {said} (2049)", request_id=said, trace_id=said)(connection)
    elif prompt == "break":
        error = {"type": "error", "error": {"message": f"no {said}"}, "request_id": said}
        for step in (head(), chunk(sse(*captured()[:8], error)), stall):
            step(connection)
    elif prompt == "stall":
        for step in (head(), chunk(sse(*echoing(said, in_pieces=False)[:-3])), stall):
            step(connection)
    else:
        call = request.json.get("tools") and prompt == "call"
        for step in streamed(calling(said) if call else echoing(said)):
            step(connection)


def pieces(index: int, name: str, text: str, *, in_pieces: bool = True) -> list[Event]:
    """Deltas of a text: twice whole, and then in pieces of any length."""
    kind = "input_json_delta" if name == "partial_json" else f"{name}_delta"
    sizes = (1, 5, 11, 20) if in_pieces else ()
    cut = [text[at : at + size] for size in sizes for at in range(0, len(text), size)]
    return [delta(index, kind, **{name: piece}) for piece in (f"{text}{text} ", *cut)]


def echoing(said: str, *, in_pieces: bool = True) -> list[Event]:
    """An answer that repeats what the server was sent, in its thinking, in its text, beside it.

    A read that holds it in pieces is in the frames of one that breaks off.
    """
    events = captured()
    events[0]["message"]["debug"] = {"authorization": said}
    thinking = pieces(0, "thinking", said, in_pieces=in_pieces)
    text = pieces(1, "text", said, in_pieces=in_pieces)
    return [*events[:4], *thinking, *events[4:8], *text, *events[8:]]


def calling(said: str) -> list[Event]:
    """A call whose argument `text` is what the server was sent, whole and in pieces."""
    events = echoing(said)
    block = {"type": "tool_use", "id": "call-1", "name": "look", "input": {}}
    argument = [
        delta(2, "input_json_delta", partial_json='{"text": "Rayleigh '),
        *pieces(2, "partial_json", said),
        delta(2, "input_json_delta", partial_json='"}'),
    ]
    stop = {**events[-2], "delta": {"stop_reason": "tool_use"}}
    return [
        *events[:-2],
        {"type": "content_block_start", "index": 2, "content_block": block},
        *argument,
        {"type": "content_block_stop", "index": 2},
        stop,
        events[-1],
    ]


PRELUDE = '''
import copy, dataclasses, inspect, io, logging, os, pickle, pprint, subprocess, sys, traceback
import asyncio, warnings
import mm_magic as mm
import mm_magic.session.api
session = mm_magic.session.api.session()
endpoint = session.who.endpoint()
reply = mm.ask("Why?", conversation="main")

def tried(function, *values):
    try:
        return function(*values)
    except BaseException as error:
        return error

def caught(prompt):
    error = tried(mm.ask, prompt)
    assert isinstance(error, mm.MiniMaxError), error
    return error

def crash_report(error):
    """What a crash reporter sends: every frame's variables, of the error and all behind it."""
    lines, todo, seen = [], [error], []
    while todo:
        error = todo.pop()
        if error is None or error in seen:
            continue
        seen.append(error)
        lines += [repr(error), str(error), repr(vars(error)), *traceback.format_exception(error)]
        for frame, _ in traceback.walk_tb(error.__traceback__):
            lines += [f"{name} = {value!r}" for name, value in frame.f_locals.items()]
        todo += [error.__cause__, error.__context__]
    return "\\n".join(lines)

def expanded(value, depth=9):
    """What a debugger's pane of variables shows, opened `depth` levels down."""
    lines, seen, level = [], set(), [("", value)]
    for _ in range(depth):
        below = []
        for name, each in level:
            lines.append(f"{name} = {each!r}")
            if id(each) in seen or isinstance(each, (type, str, bytes, int)):
                continue
            seen.add(id(each))
            if isinstance(each, dict):
                below += each.items()
            elif isinstance(each, (list, tuple, set, frozenset)):
                below += enumerate(each)
            else:
                names = [n for n in dir(each) if not n.startswith("__")]
                below += [(n, tried(getattr, each, n)) for n in names]
        level = below
    return "\\n".join(lines)

def logged(function, *values):
    """What all loggers say at the lowest level."""
    stream, root = io.StringIO(), logging.getLogger()
    names = ["httpx", "httpcore", "httpcore.http11", "httpcore.connection", "asyncio", "mm_magic"]
    loggers = [root, *map(logging.getLogger, [*logging.root.manager.loggerDict, *names])]
    before = [logger.level for logger in loggers]
    handler = logging.StreamHandler(stream)
    handler.setLevel(1)
    root.addHandler(handler)
    for logger in loggers:
        logger.setLevel(1)
    try:
        tried(function, *values)
    finally:
        root.removeHandler(handler)
        for logger, level in zip(loggers, before):
            logger.setLevel(level)
    return stream.getvalue()

class Holder:
    def method(self, session, endpoint, key, reply, error):
        return 1 / 0
'''
