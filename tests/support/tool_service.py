"""A service that calls tools, as strict as MiniMax and Anthropic are, over loopback."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mm_magic.session.session import Session
from support.loopback import END as END_OF_BODY
from support.loopback import Connection, Loopback, chunk, failure, head, sse, stall
from support.scripted import block_events
from support.strict import refusal
from support.wire import BEGIN, STOP, delta, start

Block = dict[str, Any]

SIGNED: Block = {"type": "thinking", "thinking": "I look.", "signature": "5f"}
LOOK: Block = {"type": "text", "text": "Let me look."}
BLUE: Block = {"type": "text", "text": "It is blue."}


def call(name: str = "look", given: object = None, *, id: str = "t1") -> Block:  # noqa: A002
    """A call; arguments that are a text are sent as they stand."""
    return {"type": "tool_use", "id": id, "name": name, "input": {} if given is None else given}


def text(words: str) -> Block:
    return {"type": "text", "text": words}


class ToolService:
    """Gives each request the next of these answers: blocks, or a status; the last one repeats.

    A request that a strict service refuses gets its 400. An answer that ends in `None` never ends.
    """

    def __init__(self, *answers: Sequence[Block | None] | int) -> None:
        self.answers = [*answers]
        self.reason = ""  # why each answer ends, if not as usual
        self.refuses_thinking = False
        self.bodies: list[Any] = []
        self.refusals: list[str] = []
        self.hangs = threading.Event()  # an answer is sent that never ends

    def __call__(self, connection: Connection) -> None:
        if connection.request.method == "GET":  # the list of models
            failure(404, "no")(connection)
            return
        body = connection.request.json
        self.bodies.append(body)
        if (words := refusal(body)) is not None:
            self.refusals.append(words)
            failure(400, words, "invalid_request_error")(connection)
            return
        if self.refuses_thinking and '"thinking"' in json.dumps(body["messages"]):
            words = "messages.1.content.0: Invalid `signature` in `thinking` block"
            failure(400, words, "invalid_request_error")(connection)
            return
        answer = self.answer_to(body)
        if isinstance(answer, int):
            failure(answer, "no")(connection)
            return
        head()(connection)
        for event in _events([block for block in answer if block], self._ending(answer)):
            chunk(sse(event))(connection)
        if None in answer:
            self.hangs.set()
            stall(connection)
        else:
            END_OF_BODY(connection)

    def _ending(self, answer: Sequence[Block | None]) -> str:
        """The stop reason of an answer, "" if it never ends."""
        if None in answer:
            return ""
        calls = any(block["type"] == "tool_use" for block in answer if block)
        return self.reason or ("tool_use" if calls else "end_turn")

    def answer_to(self, _body: Any) -> Sequence[Block | None] | int:
        """The next answer."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def results(self) -> list[Block]:
        """The results that the last request carries for the calls of the answer before it."""
        return [b for b in self.bodies[-1]["messages"][-1]["content"] if "tool_use_id" in b]


class CallsOnce(ToolService):
    """Calls `look` for each prompt that comes with functions, and then says what came back.

    It calls it twice where the prompt is "both", says "moo" to any other prompt, and never ends
    where the prompt is "hang".
    """

    def answer_to(self, body: Any) -> Sequence[Block | None] | int:
        messages = body["messages"]
        results = self.results if isinstance(messages[-1]["content"], list) else []
        if "hang" in str(messages) and bool(results) == ("hang later" in str(messages)):
            return [text("half of it"), None]
        if results:
            return [text(f"It is {results[0]['content']}.")]
        if "tools" not in body:
            return [text("moo")]
        places = ["sea", "lake"] if messages[-1]["content"] == "both" else ["sea"]
        number = len(self.bodies)
        return [LOOK, *(call("look", {"at": at}, id=f"t{number}{at}") for at in places)]


def _events(blocks: Iterable[Block], reason: str) -> Iterator[Block]:
    yield {**BEGIN, "message": {**BEGIN["message"], "usage": {"input_tokens": 10}}}
    for index, block in enumerate(blocks):
        if block["type"] == "tool_use":
            yield from _call_events(index, block)
        else:
            yield from block_events(index, block)
    if reason:
        usage = {"output_tokens": 5}
        yield {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}
        yield STOP


def _call_events(index: int, block: Block) -> Iterator[Block]:
    given = block["input"]
    yield start(index, {**block, "input": {}})
    yield delta(index, "input_json_delta", "partial_json", "")
    told = given if isinstance(given, str) else json.dumps(given)
    yield delta(index, "input_json_delta", "partial_json", told)
    yield {"type": "content_block_stop", "index": index}


@contextmanager
def session_of(service: Callable[[Connection], None]) -> Iterator[Session]:
    """A session whose server is this service."""
    with Loopback(service) as server:
        yield Session({"MINIMAX_BASE_URL": server.url})
