"""The answers that rows have already: of this kernel, or in a recording."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mm_magic.conversation.reply import Reply, counted_usage
from mm_magic.conversation.turn import NOTHING, Turn
from mm_magic.errors import AnswerError, MiniMaxError
from mm_magic.prompt.prompt import Prompt
from mm_magic.prompt.schema import REPAIR
from mm_magic.protocol.failure import classify_response
from mm_magic.protocol.request_key import RequestKey
from mm_magic.session.values import ValueType, WrongValue, may_ask_again, wrong_value
from mm_magic.transport.body import take_in
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.transport.recording.player import Replay
from mm_magic.wording import shortened

_SHOWN = 80  # characters of an answer that is not of the type


class Misfit(NamedTuple):
    """A complete answer that is not of the type asked for, and what is wrong with it."""

    reply: Reply
    wrong: WrongValue

    @property
    def may_be_mended(self) -> bool:
        """Whether asking once more may help."""
        return may_ask_again(_turn("any", self.reply), self.wrong)


class RowAnswer(NamedTuple):
    """What came of one request: a text, or why there is none. `tokens` are those of the answer.

    `value` is the text as the type asked for. `misfit` is an answer that is not of that type, as
    long as nothing has come that answers the request for a better one.
    """

    text: str | None
    error: str | None = None
    tokens: int | None = None
    seconds: float | None = None
    value: object = None
    misfit: Misfit | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it need not be asked again."""
        return self.error is None

    @property
    def to_mend(self) -> Misfit | None:
        """The answer that is to be asked for once more, if this is one."""
        return self.misfit if self.misfit is not None and self.misfit.may_be_mended else None

    def after(self, first: "RowAnswer") -> "RowAnswer":
        """This answer to the request for a better one than the first, with what both took."""
        if self.text is None and self.misfit is None:  # none came, and it may be asked for again
            return self._replace(misfit=first.misfit)
        tokens = [each.tokens for each in (first, self) if each.tokens is not None]
        seconds = [each.seconds for each in (first, self) if each.seconds is not None]
        return self._replace(
            tokens=sum(tokens) if tokens else None,
            seconds=round(sum(seconds), 3) if seconds else None,
            misfit=None,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """How the answers to a table are read: as values of a type, or as text where that is None.

    `model` and `max_tokens` are as asked; `fields` are those of a type that has some.
    """

    kind: ValueType | None
    model: str
    max_tokens: int
    fields: Collection[str] = ()

    def answer(self, reply: Reply) -> RowAnswer:
        """A complete reply, as a row keeps it."""
        tokens = counted_usage(reply).output_tokens
        seconds = None if reply.seconds is None else round(reply.seconds, 3)  # as a recording
        found = RowAnswer(reply.text, None, tokens, seconds)
        if self.kind is None:
            return found
        try:
            return found._replace(value=self.kind.read_with(self.fields, reply.text))
        except WrongValue as wrong:
            told, misfit = self._told(reply, wrong), Misfit(reply, wrong)
            return found._replace(text=None, error=told, misfit=misfit)

    def again(self, known: RowAnswer) -> RowAnswer:
        """An answer that is known, read again: the type may be another one with the same schema."""
        if self.kind is None:
            return known
        if known.misfit is not None:
            return self.answer(known.misfit.reply)
        try:
            text = known.text
            value = None if text is None else self.kind.read_with(self.fields, text)
            return known._replace(value=value)
        except WrongValue as wrong:
            return known._replace(text=None, error=f"the answer no longer fits the type: {wrong}")

    def error(self, misfit: Misfit) -> AnswerError:
        """The error of an answer that is not of the type."""
        assert self.kind is not None
        limits = {"model": self.model, "max_tokens": self.max_tokens}
        return wrong_value(self.kind, misfit.reply, misfit.wrong, **limits)  # type: ignore[arg-type]

    def _told(self, reply: Reply, wrong: WrongValue) -> str:
        """What is wrong with an answer, and how it begins: no cell of the table shows it."""
        said = shortened(reply.text, _SHOWN)
        message = self.error(Misfit(reply, wrong)).message
        return f"{message}; the answer was: {said}" if said else message


class Answers(Protocol):
    """Where answers to requests may be found."""

    def find(self, key: RequestKey) -> RowAnswer | None: ...


class KernelAnswers:
    """The answers that this kernel got for rows, by who gave them and what was asked."""

    def __init__(self, known: dict[str, RowAnswer], reading: Reading) -> None:
        self._known = known
        self._reading = reading

    def find(self, key: RequestKey) -> RowAnswer | None:
        known = self._known.get(key.hash)
        return None if known is None else self._reading.again(known)

    @property
    def place(self) -> int:
        """Tells them from the answers of another server, and of another kernel."""
        return id(self._known)

    def add(self, request: str, answer: RowAnswer) -> None:
        """Keep the answer to a request, by the hash of its key."""
        self._known[request] = answer._replace(value=None)  # its text says it


class RecordedAnswers:
    """The answers in a recording; rows that ask the same have the same one, the last."""

    def __init__(self, replay: Replay, reading: Reading) -> None:
        self._replay = replay
        self._reading = reading

    def find(self, key: RequestKey) -> RowAnswer | None:
        first = self._found(key)
        if first is None or (misfit := first.to_mend) is None:
            return first
        again = self._found(key_once_more(key, misfit.reply))
        return first if again is None else again.after(first)

    def _found(self, key: RequestKey) -> RowAnswer | None:
        answers = self._replay.answers(key, self._reading.model)
        if not answers:
            return None
        whole = [place for place, each in answers.items() if each.ending == "complete"]
        return self._played(answers[max(whole or answers)])

    def _played(self, exchange: RecordedExchange) -> RowAnswer:
        """What a recorded exchange says, read as it was when it came."""
        try:
            return self._reading.answer(_reply(exchange))
        except MiniMaxError as error:
            return RowAnswer(None, error.message)


def key_once_more(key: RequestKey, reply: Reply) -> RequestKey:
    """The key of the request that asks for a better answer than this one."""
    earlier = (_turn(key.text, reply).prints,)
    return RequestKey(key.options, earlier, Prompt.of_text(REPAIR).message())


def _turn(prompt: str, reply: Reply) -> Turn:
    """The turn that a request for a better answer is sent behind."""
    return Turn(None, 0, None, Prompt.of_text(prompt), reply, {}, NOTHING, NOTHING)


def _reply(exchange: RecordedExchange) -> Reply:
    if not 200 <= exchange.status < 300:
        raise classify_response(exchange.status, {}, b"".join(data for _, data in exchange.reads))
    taken = take_in(exchange.content_type, exchange.reads, has_ended=True)
    if (error := taken.accumulator.error()) is not None:
        raise error
    return Reply(taken.accumulator.message(), seconds=taken.seconds)
