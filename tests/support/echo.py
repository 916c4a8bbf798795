"""A server whose answers say what arrived: they do not depend on which request comes first."""

from typing import Any

from support.loopback import Connection, captured, streamed


def echo(connection: Connection) -> None:
    """Answer with the system prompt and all prompts of the request: "Brief: a, b, c"."""
    for step in streamed(captured(thinking="I think.", text=in_short(connection.request.json))):
        step(connection)


def in_short(body: Any) -> str:
    """What such an answer says to this request."""
    prompts = ", ".join(_text(m["content"]) for m in body["messages"] if m["role"] == "user")
    return f"{body['system']}: {prompts}" if "system" in body else prompts


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "[picture]") for block in content)


def thinks(body: Any) -> list[bool]:
    """For each earlier answer of a request, whether its thinking was sent back."""
    return [
        any(block["type"] == "thinking" for block in message["content"])
        for message in body["messages"]
        if message["role"] == "assistant"
    ]
