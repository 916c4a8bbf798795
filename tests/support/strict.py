"""A strict reader of requests: what a service says to messages that it does not accept."""

import re
from typing import Any

_WORD = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_USERS = {"text", "image", "tool_result"}


def refusal(body: Any) -> str | None:
    """The words of the 400 that these messages get, None where they are accepted."""
    messages = body["messages"]
    for place, message in enumerate(messages):
        where = f"messages.{place}"
        if message["role"] != ("user", "assistant")[place % 2]:
            return f"{where}: roles must alternate (2013)"
        after = messages[place + 1] if place + 1 < len(messages) else {"content": []}
        if words := _of_content(message, after, messages[place - 1] if place else {"content": []}):
            return f"{where}.{words}"
    return None if messages[-1]["role"] == "user" else "messages: must end with the user (2013)"


def _of_content(message: Any, after: Any, before: Any) -> str | None:
    content = _blocks(message)
    if not content:
        return "content: chat content is empty (2013)"
    if content[-1]["type"] == "thinking":
        return "content: final block cannot be `thinking`"
    own = [b["id"] for b in content if b["type"] == "tool_use"]
    if len(own) != len({*own}):
        return "content: `tool_use` ids must be unique"
    kinds = [b["type"] == "tool_result" for b in content]
    if message["role"] == "user" and kinds != sorted(kinds, reverse=True):
        return "content: `tool_result` blocks must come first"
    calls = {b["id"] for b in _blocks(before) if b["type"] == "tool_use"}
    results = [b["tool_use_id"] for b in _blocks(after) if b["type"] == "tool_result"]
    for index, block in enumerate(content):
        if words := _of_block(message["role"], block, calls, results):
            return f"content.{index}: {words}"
    return None


def _of_block(role: str, block: Any, calls: set[str], results: list[str]) -> str | None:
    match block["type"]:
        case "text" if not block["text"].strip():
            return "text content blocks must contain non-whitespace text"
        case "tool_result" if block["tool_use_id"] not in calls:
            return "unexpected `tool_use_id` found in `tool_result` blocks (2013)"
        case kind if role == "user" and kind not in _USERS:
            return f"{kind} is not accepted in user messages"
        case "thinking" if not block["thinking"].strip():
            return "each thinking block must contain thinking"
        case "thinking" if not block.get("signature"):
            return "thinking.signature: Field required"
        case "tool_use" if not _WORD.fullmatch(block["name"]):
            return f"tool_use.name: String should match pattern '^{_WORD.pattern}$'"
        case "tool_use" if not re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]):
            return "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
        case "tool_use" if not isinstance(block["input"], dict):
            return "invalid function arguments json string (2013)"
        case "tool_use" if results.count(block["id"]) != 1:
            return "`tool_use` ids were found without `tool_result` blocks (2013)"
    return None


def _blocks(message: Any) -> list[Any]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
