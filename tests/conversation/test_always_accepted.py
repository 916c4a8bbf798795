"""Any turns, also of hostile files: what is sent of them is accepted."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.strict import refusal

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.saved_turn import read_turn

BLOCKS: list[dict[str, Any]] = [
    {"type": "text", "text": "Blue."},
    {"type": "text", "text": " \n"},
    {"type": "thinking", "thinking": "Hm.", "signature": "5f"},
    {"type": "thinking", "thinking": " ", "signature": "5f"},
    {"type": "redacted_thinking", "data": "x"},
    *({"type": "tool_use", "id": n, "name": "look", "input": {}} for n in "ab"),
    {"type": "tool_use", "id": "a", "name": "look", "input": "no JSON"},
    *({"type": "tool_result", "tool_use_id": n, "content": "sky"} for n in "ab"),
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
    {"type": "x_note"},
]
CUT = {"type": "thinking", "thinking": "Hm"}
CONTENT = st.lists(st.sampled_from(BLOCKS), max_size=4)
STEP = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": CONTENT})
MODELS = st.sampled_from(["MiniMax-M2.7", "MiniMax-M3"])
IN_TURNS = st.tuples(CONTENT, CONTENT, CONTENT).map(
    lambda steps: [
        {"role": "assistant", "content": steps[0]},
        {"role": "user", "content": [*steps[1], *BLOCKS[8:10]]},
        {"role": "assistant", "content": [*steps[2], BLOCKS[0]]},
    ]
)
TURN = st.tuples(
    MODELS,
    CONTENT.map(lambda blocks: [*blocks, {"type": "text", "text": "Why?"}]),
    IN_TURNS | st.lists(STEP, min_size=1, max_size=4),
    st.sampled_from(["complete", "stopped"]),
)


def turn_wire(prompt: Any, steps: Any, status: str) -> dict[str, Any]:
    """A saved turn."""
    if status == "stopped":
        *before, last = steps
        steps = [*before, last | {"content": [*last["content"], CUT, BLOCKS[0]]}]
    wire = {"version": 2, "conversation": "main", "number": 1, "prompt": prompt, "steps": steps}
    return {**wire, "status": status, "backend": "url"}


@settings(
    max_examples=300, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
@given(st.lists(TURN, max_size=4), MODELS)
def test_history_is_always_accepted(turns: list[Any], asked: str) -> None:
    """Whatever stands in the turns, whoever made them: a strict server takes the next request."""
    conversation = Conversation("main")
    for model, *wire in turns:
        history = conversation.history(model=model, server="http://a", system="")
        turn = replace(read_turn(turn_wire(*wire)).turn, context_hash=history.context_hash)
        conversation.commit(turn)
    history = conversation.history(model=asked, server="http://a", system="")
    messages = json.loads(b"[%b]" % b",".join(history.messages))
    body = {"messages": [*messages, {"role": "user", "content": "And now?"}]}
    assert refusal(body) is None
