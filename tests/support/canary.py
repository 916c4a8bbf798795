"""A key that can be recognised in any text, a server that repeats it, and ways to look for it."""

import base64

from support.loopback import Connection, captured, chunk, failure, head, sse, stall, streamed, whole

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
    """Answer as the prompt asks. A failure repeats the key that came, as careless servers do."""
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
        for step in (head(), chunk(sse(*captured()[:8])), stall):
            step(connection)
    else:
        for step in streamed():
            step(connection)


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
