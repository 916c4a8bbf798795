"""The embedded backend: answers without a key and without a network, inside the process.

An instrument for teaching, no chatbot: it tells what arrived and what changed since the request
before. It reads no clock, opens nothing, and gives the same bytes for the same requests.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from mm_magic.errors import UsageError
from mm_magic.transport.demo import practice, report
from mm_magic.transport.demo.practice import DEMOS
from mm_magic.transport.demo.read_request import DemoRequest, read_request
from mm_magic.transport.demo.send import DemoReply, DemoScript, refused, streamed, whole
from mm_magic.transport.exchange import Exchange

__all__ = ["DEMOS", "Offline"]


class Offline:
    """A server in the process.

    It remembers the request before, and whether it told how to get a real answer. Its exchanges
    are played `speed` times as fast as their times say; math.inf plays them without a wait.
    """

    def __init__(self, *, speed: float = 1.0) -> None:
        self.speed = speed
        self._before: DemoRequest | None = None
        self._requests = 0
        self._told = False

    def answer(self, body: Mapping[str, object]) -> Exchange:
        """The answer to a request whose JSON is `body`: a stream, one document, or an error."""
        self._requests += 1
        return self._answered(body, self._requests, self._script)

    def beside_others(self, answer: int) -> "BesideOthers":
        """The server for one of several requests at once; `answer` is its number, from 1.

        The first of them counts as the request before for those that follow.
        """
        return BesideOthers(self, answer)

    def one_of_several(self, body: Mapping[str, object], answer: int) -> Exchange:
        """The short answer to a request that is asked beside others."""
        return self._answered(body, answer, partial(self._script_beside_others, answer))

    def _answered(
        self,
        body: Mapping[str, object],
        number: int,
        script_of: Callable[[DemoRequest], DemoScript],
    ) -> Exchange:
        reply_id = _hash([number, dict(body)])[:32]
        try:
            request = read_request(body)
        except UsageError as error:
            message = f"invalid params, {error.message} (2013)"
            return refused(400, "invalid_request_error", message, reply_id, self.speed)
        script = script_of(request)
        if (refusal := practice.scripted_error(request.prompt)) is not None:
            return refused(refusal.status, refusal.kind, refusal.message, reply_id, self.speed)
        reply = _reply(request, script, reply_id, _hash([number, script.thinking]))
        self._told = self._told or reply.script.text.endswith(report.the_way())
        return (streamed if request.wants_stream else whole)(reply, self.speed)

    def _script(self, request: DemoRequest) -> DemoScript:
        before, self._before = self._before, request
        script = _scripted(request) or report.script(request, before)
        if not self._told and script.ending == "whole" and script.call is None:
            script = replace(script, text=f"{script.text}\n\n---\n\n{report.the_way()}")
        return script if request.wants_thinking else replace(script, thinking="")

    def _script_beside_others(self, answer: int, request: DemoRequest) -> DemoScript:
        if answer == 1:
            self._before = request
        script = _scripted(request, answer) or report.script_beside_others(request, answer)
        return script if request.wants_thinking else replace(script, thinking="")


@dataclass(frozen=True, slots=True)
class BesideOthers:
    """The demo as it answers one of several requests at once."""

    demo: Offline
    number: int

    def answer(self, body: Mapping[str, object]) -> Exchange:
        """As `Offline.answer`."""
        return self.demo.one_of_several(body, self.number)


def _scripted(request: DemoRequest, answer: int = 1) -> DemoScript | None:
    """The practice answer that the prompt asks for, a call where there is something to call, or
    JSON where a type is asked for."""
    if (script := practice.script(request.prompt)) is not None:
        return script
    if (tool := request.first_tool) is not None:
        if request.results:
            return report.script_of_results(request)
        return report.script_of_call(request, tool)
    if request.schema is None:
        return None
    is_wrong = practice.asks_for_wrong_value(request.prompt)
    return report.script_of_value(request, request.schema, answer, is_wrong=is_wrong)


def _reply(request: DemoRequest, script: DemoScript, reply_id: str, signature: str) -> DemoReply:
    """What the request's max_tokens leaves of a script."""
    sent = script.cut(request.max_tokens)
    return DemoReply(
        id=reply_id,
        script=sent,
        signature=signature if sent.thinking == script.thinking else "",
        stop_reason=_stop_reason(script, sent),
        input_words=request.words,
    )


def _stop_reason(
    script: DemoScript, sent: DemoScript
) -> Literal["end_turn", "max_tokens", "tool_use"]:
    if sent != script:
        return "max_tokens"
    return "end_turn" if script.call is None else "tool_use"


def _hash(value: object) -> str:
    """64 hex digits from a value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("ascii")).hexdigest()
