"""The names that programs rely on: what `mm_magic` offers, and how it is called.

A failure here means that a user's program may break. Where the change is meant, write it into
CHANGELOG.md and then change the expectation here; else take the change back.
"""

import asyncio
import dataclasses
import inspect
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import mm_magic as mm
from mm_magic.errors import Kind
from mm_magic.session.api import AskOptions, CompareOptions, forget_session
from mm_magic.session.options import Options

ROOT = Path(__file__).parents[1]
ADVICE = (
    "Programs rely on this. If the change is meant, say so in CHANGELOG.md and change the "
    "expectation in tests/test_public_names.py; else take the change back."
)

NAMES = {
    "AnswerError": "exception",
    "MiniMaxError": "exception",
    "NetworkError": "exception",
    "ProtocolError": "exception",
    "Replies": "class",
    "Reply": "class",
    "ServiceError": "exception",
    "Stopped": "exception",
    "UsageError": "exception",
    "ask": "function",
    "ask_async": "coroutine function",
    "compare": "function",
    "compare_async": "coroutine function",
    "map": "function",
    "map_async": "coroutine function",
    "read_notebook": "function",
}
BASES = {
    "AnswerError": "MiniMaxError",
    "MiniMaxError": "Exception",
    "NetworkError": "MiniMaxError",
    "ProtocolError": "MiniMaxError",
    "ServiceError": "MiniMaxError",
    "Stopped": "Exception",
    "UsageError": "MiniMaxError",
}
_MAP = (
    "(prompt, rows, column='answer', *, parallel=8, file=None, fresh=False, on_error='continue', "
    "budget=None, yes=False, type=None, **options)"
)
SIGNATURES = {
    "ask": "(prompt, *, type=None, tools=(), confirm=False, show=False, **options)",
    "ask_async": "(prompt, *, type=None, tools=(), confirm=False, show=False, **options)",
    "compare": "(prompt, *, n=1, without=(), yes=False, type=None, **options)",
    "compare_async": "(prompt, *, n=1, without=(), yes=False, type=None, **options)",
    "map": _MAP,
    "map_async": _MAP,
    "read_notebook": "(path)",
}
ASK_OPTIONS = {
    "conversation", "max_tokens", "model", "retries", "reuse", "stream", "system", "temperature",
    "thinking", "top_p", "effort",
}  # fmt: skip
REPLY_ATTRIBUTES = {
    "backend", "base_resp", "calls", "content", "earlier_steps", "first_try", "has_value", "id",
    "is_demo", "may_enter", "message", "model", "origin", "problem", "seconds", "status", "steps",
    "stop_reason", "text", "thinking", "thinking_seconds", "usage", "value",
}  # fmt: skip
REPLIES_ATTRIBUTES = {"count", "index", "outcomes", "to_frame"}
ERROR_ATTRIBUTES = {
    "card", "code", "kind", "message", "next_steps", "redact", "replies", "reply",
    "request_id", "retry_after", "retryable", "rows", "status",
}  # fmt: skip
KINDS = {
    "auth", "bad_request", "billing", "connection", "not_found", "overloaded", "permission",
    "protocol", "rate_limit", "redirect", "server", "timeout", "too_large", "usage", "value",
}  # fmt: skip


def kind_of(value: object) -> str:
    """What a public name is."""
    if isinstance(value, type):
        return "exception" if issubclass(value, BaseException) else "class"
    if inspect.iscoroutinefunction(value):
        return "coroutine function"
    return "function" if inspect.isfunction(value) else type(value).__name__


def parameters_of(function: Any) -> str:
    """How a function is called: names, kinds and defaults, without annotations."""
    signature = inspect.signature(function)
    bare = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))


def attributes_of(value: object) -> set[str]:
    """The public attributes that a value has, but for those of every exception."""
    inherited = dir(Exception)
    return {name for name in dir(value) if not name.startswith("_") and name not in inherited}


def test_names_and_what_they_are() -> None:
    """`mm_magic.__all__` is this list, in order, and each name is what it was."""
    assert mm.__all__ == sorted(mm.__all__), "Sort mm_magic.__all__."
    assert {name: kind_of(getattr(mm, name)) for name in mm.__all__} == NAMES, ADVICE


def test_tree_of_exceptions() -> None:
    """`except MiniMaxError` catches each failure, and never a stop."""
    assert {name: getattr(mm, name).__base__.__name__ for name in BASES} == BASES, ADVICE


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name: str) -> None:
    """A public function is called as before."""
    assert parameters_of(getattr(mm, name)) == SIGNATURES[name], ADVICE


def test_types_of_functions() -> None:
    """`ask` and `ask_async` take a text and give a Reply."""
    for function in (mm.ask, mm.ask_async):
        hints = get_type_hints(function)
        assert (hints["prompt"], hints["return"]) == (str | Sequence[object], mm.Reply), ADVICE


def test_options_of_ask() -> None:
    """`ask` and `compare` take these options, and each is a row in the table of options."""
    rows = {each.name for each in dataclasses.fields(Options)}

    assert AskOptions.__annotations__.keys() == ASK_OPTIONS, ADVICE
    assert CompareOptions.__annotations__.keys() == ASK_OPTIONS, ADVICE
    missing = ASK_OPTIONS - rows
    assert missing == set(), f"Add {missing} to `Options` in mm_magic/session/options.py."


def test_attributes_of_a_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Reply has these attributes, and `str` gives its text."""
    monkeypatch.setenv("MINIMAX_BACKEND", "offline")
    forget_session()
    reply = asyncio.run(mm.ask_async("Why?"))
    forget_session()

    assert attributes_of(reply) == REPLY_ATTRIBUTES, ADVICE
    assert str(reply) == reply.text, ADVICE


def test_attributes_of_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies are a sequence of Reply with these attributes."""
    monkeypatch.setenv("MINIMAX_BACKEND", "offline")
    forget_session()
    replies = mm.compare("Why?", n=2)
    forget_session()

    assert attributes_of(replies) == REPLIES_ATTRIBUTES, ADVICE
    assert [type(reply) for reply in replies] == [mm.Reply] * 2, ADVICE


def test_attributes_of_an_error() -> None:
    """A MiniMaxError has these attributes."""
    error = mm.MiniMaxError("no", kind="server")

    assert attributes_of(error) == ERROR_ATTRIBUTES, ADVICE


def test_kinds_of_errors() -> None:
    """`error.kind` is one of a closed set, so that a program can tell its cases apart."""
    assert set(get_args(Kind)) == KINDS, ADVICE


def test_the_version_says_what_is_released() -> None:
    """The package and CHANGELOG.md name one version, which is a `dev` one until it is released."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (newest, state), *_ = re.findall(
        r"^## ([\d.]+)(.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert state in ("", ", not released yet")
    assert mm.__version__ == project["version"] == newest + (".dev0" if state else "")
