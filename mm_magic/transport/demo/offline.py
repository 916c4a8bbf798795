"""The embedded backend: answers without a key and without a network, inside the process.

An instrument for teaching, no chatbot: it tells what arrived and what changed since the request
before. It reads no clock, opens nothing, and gives the same bytes for the same requests.
"""

import hashlib
import json
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

from mm_magic.transport.demo import practice as demos
from mm_magic.transport.demo import report
from mm_magic.transport.demo.practice import DEMOS, Demo
from mm_magic.transport.demo.read_request import InvalidRequest, Request, count_words, read_request
from mm_magic.transport.demo.sampling import sample
from mm_magic.transport.demo.send import MODEL, Reply, refused, streamed, whole, words_of
from mm_magic.transport.exchange import Exchange

__all__ = ["DEMOS", "MODEL", "Offline"]

# Seconds for the text of an ordinary answer, however long it is, and at most for one word of it.
_TEXT_SECONDS = 2.8
_WORD_SECONDS = 0.02


class Offline:
    """A server in the process. It remembers the request before, and whether it told the way out."""

    def __init__(self) -> None:
        self._before: Request | None = None
        self._requests = 0
        self._told = False

    def answer(self, body: Mapping[str, object]) -> Exchange:
        """The answer to a request whose JSON is `body`: a stream, one document, or an error."""
        self._requests += 1
        request_id = self._hash(dict(body))[:32]
        try:
            request = read_request(body)
        except InvalidRequest as error:
            message = f"invalid params, {error} (2013)"
            return refused(400, "invalid_request_error", message, request_id)
        before, self._before = self._before, request
        if scripted := demos.scripted_error(request.prompt):
            return refused(scripted.status, scripted.kind, scripted.message, request_id)
        reply = self._reply(request, before, request_id)
        return streamed(reply) if request.wants_stream else whole(reply)

    def _reply(self, request: Request, before: Request | None, reply_id: str) -> Reply:
        demo = demos.demo(request.prompt)
        if demo is None:
            demo, thinking = _report(request, before)
        else:
            thinking = demos.thinking(request.prompt, count_words(demo.text))
        text = demo.text
        if not self._told and demo.ending == "whole":
            text = f"{text}\n\n---\n\n{report.THE_WAY}"
        thinking = thinking if request.wants_thinking else ""
        sent = _cut(thinking, text, request.max_tokens)
        is_cut = sent != (thinking, text)
        self._told = self._told or (demo.ending == "whole" and not is_cut)
        return Reply(
            id=reply_id,
            thinking=sent.thinking,
            signature=self._hash(thinking) if sent.thinking == thinking else "",
            text=sent.text,
            stop_reason="max_tokens" if is_cut else "end_turn",
            input_words=request.words,
            output_words=count_words(sent.thinking) + count_words(sent.text),
            word_seconds=demo.word_seconds,
            ending="whole" if is_cut else demo.ending,
        )

    def _hash(self, value: object) -> str:
        """64 hex digits from `value` and the number of this request."""
        data = json.dumps([self._requests, value], sort_keys=True).encode("ascii")
        return hashlib.sha256(data).hexdigest()


class _Sent(NamedTuple):
    thinking: str
    text: str


def _report(request: Request, before: Request | None) -> tuple[Demo, str]:
    """The answer to an ordinary prompt, and its thinking."""
    sampling = sample(request.temperature, request.top_p, request.prompt, len(request.earlier))
    text = report.text(request, before, sampling)
    pace = min(_TEXT_SECONDS / count_words(text), _WORD_SECONDS)
    return Demo(text, pace), report.thinking(request, before, sampling, text)


def _cut(thinking: str, text: str, max_tokens: int | None) -> _Sent:
    """What `max_tokens` words leave of a reply: thinking comes first, and counts."""
    if max_tokens is None:
        return _Sent(thinking, text)
    thinking = _first(thinking, max_tokens)
    return _Sent(thinking, _first(text, max_tokens - count_words(thinking)))


def _first(text: str, words: int) -> str:
    # Not a slice of text.split(): the white space between the words is Markdown, too.
    return "".join(islice(words_of(text), words))
