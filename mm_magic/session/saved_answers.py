"""The answers that this notebook has: a request that has one of them need not be sent.

They are found by what was asked, as in a recording: by the key of the request, and by its place
among equal ones.
"""

import math
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias, TypeVar

from mm_magic.conversation.conversation import trusted
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.recording.answers import Answers
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.transport.recording.player import Playback

K = TypeVar("K")

_Look: TypeAlias = Callable[[], Iterable[tuple[RecordedExchange, Turn]]]


class SavedAnswers:
    """The answers of the notebook's file, as it was once, and all that this kernel got since.

    Those of models and those of the demo do not stand for each other.
    """

    def __init__(self) -> None:
        self._of_models: Answers[Turn] = Answers()
        self._of_demo: Answers[Turn] = Answers()
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
                    known = self._of(to_demo=turn.is_demo)
                    samples = known.of(exchange.key.hash, is_version_1=exchange.is_version_1)
                    samples.setdefault(exchange.sample, _alone(turn))
            with suppress(ValueError):  # another thread was here, too
                self._waiting.remove(look)  # only now: an interrupt loses none of them

    def trust(self, ids: Container[str] | None = None) -> None:
        """The answers that are turns with these ids may be sent, or all of them."""
        self._take_waiting()
        for answers in (*self._of_models, *self._of_demo):
            answers.update(_trusted(answers, ids))
        self._of_cells.update(_trusted(self._of_cells, ids))

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
            self._of(to_demo=turn.is_demo).of(key.hash)[turn.sample] = _alone(turn)

    def counted_as(self, key: RequestKey, model: str, *, to_demo: bool) -> str:
        """What the answers to a request are counted by."""
        self._take_waiting()
        return self._of(to_demo=to_demo).counted_as(key, model)

    def find(self, key: RequestKey, model: str, place: int, *, to_demo: bool) -> Turn | None:
        """The answer to this request, which asks this model, with this place among equal ones."""
        self._take_waiting()
        return self._of(to_demo=to_demo).find(key, model)[1].get(place)

    @property
    def most(self) -> int:
        """How many answers there are to one request, at most."""
        self._take_waiting()
        return max(self._of_models.most, self._of_demo.most)

    def _of(self, *, to_demo: bool) -> Answers[Turn]:
        return self._of_demo if to_demo else self._of_models


def _alone(turn: Turn) -> Turn:
    """The turn without what leads to other ones."""
    return replace(turn, link=None, others=())


def _trusted(turns: Mapping[K, Turn], ids: Container[str] | None) -> dict[K, Turn]:
    """Those of the turns that may be sent from now on."""
    return {key: trusted(turn) for key, turn in turns.items() if ids is None or turn.id in ids}


def playback(turn: Turn) -> Playback:
    """What plays the answer of a turn, without a wait."""
    from mm_magic.session.notebook_as_recording import exchange_of, reads_of

    exchange = exchange_of(turn, RequestKey({}, (), turn.prompt.described()))
    reads = reads_of(turn.reply, in_words=False)
    return Playback(replace(exchange, reads=tuple(reads)), math.inf)
