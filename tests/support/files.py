"""Notebook files for tests, without a kernel: turns, cells and the file's bytes."""

import json
from collections.abc import Sequence
from typing import Any

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.notebook_file import Notebook
from mm_magic.conversation.reply import Reply, Status
from mm_magic.conversation.saved_turn import turn_json
from mm_magic.conversation.stored import pasts
from mm_magic.conversation.turn import TURN_MIME, Turn, TurnKey
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.messages import Message, TextBlock, ThinkingBlock


def turn(prompt: str, cell: str = "", status: Status = "complete", **more: Any) -> Turn:
    """A turn that is not placed yet; its answer is the prompt in capitals."""
    content = (ThinkingBlock("Hm", "5f"), TextBlock(prompt.upper()))
    given: dict[str, Any] = {"conversation": "main", "number": 1} | more
    return Turn(
        key=TurnKey(cell or prompt, 0),
        prompt=Prompt.of_text(prompt),
        reply=Reply(Message(content=content), status),
        parameters={"model": "M"},
        context_hash="",
        turns_hash="",
        **given,
    )


def saved(talk: Conversation, turn: Turn, **more: Any) -> Any:
    return turn_json(turn, talk.state, **more)


def cell(name: str | None, *outputs: object, source: str = "") -> dict[str, Any]:
    made = {"cell_type": "code", "execution_count": 3, "metadata": {}, "source": [source]}
    displays = [
        {"output_type": "display_data", "metadata": {}, "data": {TURN_MIME: each}}
        for each in outputs
    ]
    return made | {"outputs": displays} | ({"id": name} if name else {})


def file(*cells: object) -> bytes:
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, sort_keys=True).encode()


def prompts(notebook: Notebook, name: str = "main") -> list[list[str]]:
    """The prompts of each past of a conversation, the latest first."""
    return [[each.prompt.text for each in past.turns] for past in pasts(notebook).get(name, [])]


def left_out(notebook: Notebook) -> dict[str, Sequence[int]]:
    """The numbers of the turns of main that do not stand, by reason."""
    return dict(pasts(notebook)["main"][0].left_out)
