"""The embedded backend: answers without a key and without a network, inside the process.

An instrument for teaching, no chatbot: it tells what arrived and what changed since the request
before. It reads no clock, opens nothing, and gives the same bytes for the same requests.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from mm_magic.errors import UsageError
from mm_magic.transport.demo import practice, report
from mm_magic.transport.demo.practice import DEMOS
from mm_magic.transport.demo.read_request import Request, read_request
from mm_magic.transport.demo.send import Reply, refused, streamed, whole
from mm_magic.transport.exchange import Exchange

__all__ = ["DEMOS", "Offline"]


class Offline:
    """A server in the process.

    It remembers the request before, and whether it told how to get a real answer. Its exchanges
    are played `speed` times as fast as their times say; math.inf plays them without a wait.
    """

    def __init__(self, *, speed: float = 1.0) -> None:
        self.speed = speed
        self._before: Request | None = None
        self._requests = 0
        self._told = False

    def answer(self, body: Mapping[str, object]) -> Exchange:
        """The answer to a request whose JSON is `body`: a stream, one document, or an error."""
        self._requests += 1
        request_id = self._hash(dict(body))[:32]
        try:
            request = read_request(body)
        except UsageError as error:
            message = f"invalid params, {error.message} (2013)"
            return refused(400, "invalid_request_error", message, request_id, self.speed)
        before, self._before = self._before, request
        if (refusal := practice.scripted_error(request.prompt)) is not None:
            return refused(refusal.status, refusal.kind, refusal.message, request_id, self.speed)
        reply = self._reply(request, before, request_id)
        return (streamed if request.wants_stream else whole)(reply, self.speed)

    def _reply(self, request: Request, before: Request | None, reply_id: str) -> Reply:
        script = practice.script(request.prompt) or report.script(request, before)
        if not self._told and script.ending == "whole":
            script = replace(script, text=f"{script.text}\n\n---\n\n{report.THE_WAY}")
        if not request.wants_thinking:
            script = replace(script, thinking="")
        sent = script.cut(request.max_tokens)
        self._told = self._told or (script.ending == "whole" and sent == script)
        return Reply(
            id=reply_id,
            script=sent,
            signature=self._hash(script.thinking) if sent.thinking == script.thinking else "",
            stop_reason="end_turn" if sent == script else "max_tokens",
            input_words=request.words,
        )

    def _hash(self, value: object) -> str:
        """64 hex digits from `value` and the number of this request."""
        data = json.dumps([self._requests, value], sort_keys=True).encode("ascii")
        return hashlib.sha256(data).hexdigest()
