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
from mm_magic.transport.recording import version_1
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.transport.recording.player import Playback

_Place: TypeAlias = tuple[str, int]
"""The hash of a request, and the place among those that ask it."""
_Look: TypeAlias = Callable[[], Iterable[tuple[RecordedExchange, Turn]]]


class SavedAnswers:
    """The answers of the notebook's file, as it was once, and all that this kernel got since.

    Those of models and those of the demo do not stand for each other.
    """

    def __init__(self) -> None:
        self._of_models, self._of_demo = _Answers(), _Answers()
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
                    self._of(to_demo=turn.is_demo).take_in(exchange, turn)
            with suppress(ValueError):  # another thread was here, too
                self._waiting.remove(look)  # only now: an interrupt loses none of them

    def trust(self, ids: Container[str] | None = None) -> None:
        """The answers that are turns with these ids may be sent, or all of them."""
        self._take_waiting()
        for answers in (self._of_models, self._of_demo):
            answers.trust(ids)
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
            self._of(to_demo=turn.is_demo).add(key.hash, turn.sample, turn)

    def counted_as(self, key: RequestKey, model: str, *, to_demo: bool) -> str:
        """What the answers to a request are counted by."""
        self._take_waiting()
        return self._of(to_demo=to_demo).counted_as(key, model)

    def find(self, key: RequestKey, model: str, place: int, *, to_demo: bool) -> Turn | None:
        """The answer to this request, which asks this model, with this place among equal ones."""
        self._take_waiting()
        return self._of(to_demo=to_demo).find(key, model, place)

    @property
    def most(self) -> int:
        """How many answers there are to one request, at most."""
        self._take_waiting()
        return max(self._of_models.most, self._of_demo.most)

    def _of(self, *, to_demo: bool) -> "_Answers":
        return self._of_demo if to_demo else self._of_models


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


class _Answers:
    """Answers by the hash of their request and their sample; those of version 0.1 by themselves.

    A kernel that runs for weeks has many, most of them asked with the same parameters: those are
    kept once.
    """

    def __init__(self) -> None:
        self._answers: dict[_Place, _Answer] = {}
        self._of_version_1: dict[_Place, _Answer] = {}
        self._names_of_version_1: set[str] = set()
        self._parameters: dict[bytes, JsonObject] = {}

    def take_in(self, exchange: RecordedExchange, turn: Turn) -> None:
        answers, name = self._answers, exchange.key.hash
        if exchange.is_version_1:
            answers = self._of_version_1
            self._names_of_version_1.add(name)
        if (name, exchange.sample) not in answers:
            answers[name, exchange.sample] = self._kept(turn)

    def add(self, request: str, sample: int, turn: Turn) -> None:
        self._answers[request, sample] = self._kept(turn)

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

    def trust(self, ids: Container[str] | None) -> None:
        for answers in (self._answers, self._of_version_1):
            for place, each in answers.items():
                if each.untrusted is not None and (ids is None or each.untrusted in ids):
                    answers[place] = each._replace(untrusted=None)

    def counted_as(self, key: RequestKey, model: str) -> str:
        if not self._of_version_1:  # its keys are hashed anew for each request
            return key.hash
        old = (each.hash for each in version_1.keys_for(key, model))
        return next((each for each in old if each in self._names_of_version_1), key.hash)

    @property
    def most(self) -> int:
        samples = (sample for _, sample in (*self._answers, *self._of_version_1))
        return 1 + max(samples, default=-1)

    def find(self, key: RequestKey, model: str, place: int) -> Turn | None:
        found = self._answers.get((key.hash, place))
        found = found or self._of_version_1.get((self.counted_as(key, model), place))
        return found and found.turn()


def playback(turn: Turn) -> Playback:
    """What plays the answer of a turn, without a wait."""
    from mm_magic.session.notebook_as_recording import exchange_of, reads_of

    exchange = exchange_of(turn, RequestKey({}, (), turn.prompt.described()))
    reads = reads_of(turn.reply, in_words=False)
    return Playback(replace(exchange, reads=tuple(reads)), math.inf)
