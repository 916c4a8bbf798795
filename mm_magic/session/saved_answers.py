"""The answers that this notebook has: a request that has one of them need not be sent.

They are found by what was asked, as in a recording: by the key of the request, and by its place
among equal ones.
"""

import hashlib
import math
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from mm_magic.conversation.conversation import trusted
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import NOTHING, Turn, TurnKey
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.json_values import JsonObject, encode_json
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.recording.answers import AnswersByRequest
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.transport.recording.player import Playback

_Look: TypeAlias = Callable[[], Iterable[tuple[RecordedExchange, Turn]]]


class SavedAnswers:
    """The answers of the notebook's file, as it was once, and all that this kernel got since.

    Those of models and those of the demo do not stand for each other. A kernel that runs for weeks
    has many, most of them asked with the same parameters: those are kept once.
    """

    def __init__(self) -> None:
        self._of_models: AnswersByRequest[_Answer] = AnswersByRequest()
        self._of_demo: AnswersByRequest[_Answer] = AnswersByRequest()
        self._parameters: dict[bytes, JsonObject] = {}
        self._of_cells: dict[TurnKey, Turn] = {}
        self._waiting: list[_Look] = []

    def take_in(
        self,
        answers: _Look,
        of_cells: Iterable[Turn] = (),
    ) -> None:
        """Keep the answers of a file, and what its cells hold, but for what stands here since.

        `answers` is called when one is looked for: of a long notebook that takes a while, and
        most never look.
        """
        self._waiting.append(answers)
        for turn in of_cells:
            if turn.key is not None:
                self._of_cells.setdefault(turn.key, turn)

    def _take_waiting(self) -> None:
        for look in tuple(self._waiting):
            for exchange, turn in look():
                if exchange.is_offered:
                    self._take_in(exchange, turn)
            with suppress(ValueError):  # another thread was here, too
                self._waiting.remove(look)  # only now: an interrupt loses none of them

    def _take_in(self, exchange: RecordedExchange, turn: Turn) -> None:
        answers, is_old = self._of(to_demo=turn.is_demo), exchange.is_version_1
        request, sample = exchange.key.hash, exchange.sample
        if answers.get(request, sample, is_version_1=is_old) is None:
            answers.put(request, sample, self._kept(turn), is_version_1=is_old)

    def trust(self, ids: Container[str] | None = None) -> None:
        """The answers that are turns with these ids may be sent, or all of them."""
        self._take_waiting()
        for answers in (self._of_models, self._of_demo):
            answers.change(lambda each: each.trusted(ids))
        for key, turn in self._of_cells.items():
            if ids is None or turn.id in ids:
                self._of_cells[key] = trusted(turn)

    def add_of_cell(self, turn: Turn) -> None:
        """Keep the turn that a cell made last."""
        if turn.key is not None:
            self._of_cells[turn.key] = turn

    def of_cell(self, key: TurnKey) -> Turn | None:
        """The last turn that a cell made, whatever it asked."""
        return self._of_cells.get(key)

    def add(self, key: RequestKey, turn: Turn) -> None:
        """Keep the answer of a turn that this kernel asked with this key, if it is whole."""
        is_whole = turn.reply.status == "complete" and not turn.reply.problem
        if turn.reply.backend != "recorded" and is_whole:
            self._of(to_demo=turn.is_demo).put(key.hash, turn.sample, self._kept(turn))

    def counted_as(self, key: RequestKey, model: str, *, to_demo: bool) -> str:
        """What the answers to a request are counted by."""
        self._take_waiting()
        return self._of(to_demo=to_demo).counted_as(key, model)

    def find(self, key: RequestKey, model: str, place: int, *, to_demo: bool) -> Turn | None:
        """The answer to this request, which asks this model, with this place among equal ones."""
        self._take_waiting()
        found = self._of(to_demo=to_demo).find(key, model)[1].get(place)
        return found and found.turn()

    @property
    def most(self) -> int:
        """How many answers there are to one request, at most."""
        self._take_waiting()
        return max(self._of_models.most, self._of_demo.most)

    def _of(self, *, to_demo: bool) -> "AnswersByRequest[_Answer]":
        return self._of_demo if to_demo else self._of_models

    def _kept(self, turn: Turn) -> "_Answer":
        asked = hashlib.sha256(encode_json(turn.parameters)).digest()
        return _Answer(
            prompt=turn.prompt,
            reply=turn.reply,
            parameters=self._parameters.setdefault(asked, turn.parameters),
            context_hash=turn.context_hash,
            extra=turn.extra or None,
            untrusted=turn.id if turn.is_untrusted else None,
        )


class _Answer(NamedTuple):
    """What is kept of the turn of an answer: the rest is that of the turn which it becomes.

    `untrusted` is the turn's id, where it came from an untrusted file.
    """

    prompt: Prompt
    reply: Reply
    parameters: JsonObject
    context_hash: str
    extra: Mapping[str, object] | None
    untrusted: str | None

    def trusted(self, ids: Container[str] | None) -> "_Answer":
        """The answer as one that may be sent, if its turn has one of these ids, or any."""
        is_meant = self.untrusted is not None and (ids is None or self.untrusted in ids)
        return self._replace(untrusted=None) if is_meant else self

    def turn(self) -> Turn:
        """The answer as a turn that stands nowhere."""
        return Turn(
            conversation=None,
            number=0,
            key=None,
            prompt=self.prompt,
            reply=self.reply,
            parameters=self.parameters,
            context_hash=self.context_hash,
            turns_hash=NOTHING,
            is_untrusted=self.untrusted is not None,
            extra=self.extra or {},
        )


def playback(turn: Turn) -> Playback:
    """What plays the answer of a turn, without a wait."""
    from mm_magic.session.notebook_as_recording import exchange_of, reads_of

    exchange = exchange_of(turn, RequestKey({}, (), turn.prompt.described()))
    reads = reads_of(turn.reply, in_words=False)
    return Playback(replace(exchange, reads=tuple(reads)), math.inf)
