"""What several requests may cost, before they are sent: an estimate, and what it is made of."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mm_magic.conversation import catalog
from mm_magic.conversation.catalog import BYTES_PER_TOKEN, PRICES_DATE, dollars, image_tokens
from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import as_count, encode_json
from mm_magic.session.answerer import Answerer, Kept, Nobody, Recorded
from mm_magic.session.turn_request import TurnRequest
from mm_magic.transport.endpoint import OFFLINE
from mm_magic.wording import capitalised, counted, share

_MOST_ANSWERS = 1000
"""More are not drawn without a confirmation, even if none of them is asked for."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What comes of a cell that asks for `answers` answers.

    `found` are the requests that would be made of it, as `Requests.foresee` gives them: each with
    the number of those that are like it.
    """

    answers: int
    found: Sequence[tuple[TurnRequest, int]]

    @property
    def requests(self) -> int:
        """How many have no answer yet, and would be sent."""
        return sum(times for _, times in self._sent)

    @property
    def first(self) -> TurnRequest:
        """The first that would be sent; if none would be, the first."""
        return (self._sent or self.found)[0][0]

    def in_words(self) -> str:
        """Requests, tokens and price.

        Nobody counts tokens before a request is sent: those of the input are estimated from the
        bytes of the first one, and an answer may be as long as its max_tokens.
        """
        if self._is_kept:
            return "No requests: this cell keeps its old answers."
        not_sent = self._not_sent()
        if not self.requests:
            return f"No requests: {not_sent}."
        pictures = self.first.pictures
        size = _size(self.first)
        tokens = size // BYTES_PER_TOKEN + 1 + _image_tokens(self.first)
        seen = f" and {counted(len(pictures), 'picture')}" if pictures else ""
        longest = sum(_max_tokens(request) * times for request, times in self._sent)
        sentences = (
            _tokens(self.requests, self.requests * tokens, longest),
            not_sent and f"{capitalised(not_sent)}.",
            f"The input is estimated from the first request, {size:,} bytes{seen}.",
            f"{self._price()}{_once_more(self.first)}",
        )
        return " ".join(filter(None, sentences))

    def check(self, limit: int, line: str) -> None:
        """Raise UsageError if more than `limit` would be sent; `line` is what goes ahead."""
        number, what = self.requests, f"send {counted(self.requests, 'request')}"
        if number <= limit:
            number, limit = self.answers, max(limit, _MOST_ANSWERS)
            what = f"show {counted(number, 'answer')}"
        if number > limit:
            raise too_many(what, number, limit, self.in_words(), line)

    def _price(self) -> str:
        """What the requests may cost, each as often as it is sent."""
        return _at_most(
            self.first, [(highest_cost(request), times) for request, times in self._sent]
        )

    @property
    def _sent(self) -> list[tuple[TurnRequest, int]]:
        if self._is_kept:
            return []
        return [each for each in self.found if each[0].is_sent]

    @property
    def _is_kept(self) -> bool:
        """Whether the cell keeps its old answers: then none of its requests is sent."""
        return any(isinstance(request.answerer, Kept) for request, _ in self.found)

    def _not_sent(self) -> str:
        """What is true of the others: their answers are there, or missing."""
        others = Counter[str]()
        for request, times in self.found:
            if not request.is_sent:
                others[_where(request.answerer)] += times
        if refused := self.answers - self.requests - others.total():
            others["not possible with these options"] = refused
        if self.answers in others.values():
            return f"{share(self.answers, self.answers, 'answer')} are {next(iter(others))}"
        parts = [
            f"{number:,} {'is' if number == 1 else 'are'} {what}" for what, number in others.items()
        ]
        return f"of {counted(self.answers, 'answer')}, {' and '.join(parts)}" if parts else ""


def forecast_of_rows(first: TurnRequest, prompts: Sequence[int]) -> str:
    """What the requests of a table may cost, in words; `prompts` are the bytes of each in JSON.

    `first` is one of the requests.
    """
    rest = _size(first) - len(encode_json(first.ask.prompt.text))
    sizes = [rest + prompt for prompt in prompts]
    requests, total = len(sizes), sum(sizes)
    times = Counter(sizes)  # few sizes are many rows
    price = _at_most(first, [(_highest_cost(first, size), n) for size, n in times.items()])
    tokens = total // BYTES_PER_TOKEN + requests
    foreseen = _tokens(requests, tokens, _max_tokens(first) * requests)
    return f"{foreseen} The input is estimated from {total:,} bytes. {price}{_once_more(first)}"


def highest_cost(request: TurnRequest) -> float | None:
    """The most that a request can cost, in USD; None where its price is not known.

    Its answer is as long as max_tokens allows. Each byte of its body is a token of the input:
    tokenizers make at most so many of a text, and the JSON around the text is longer than what the
    service adds to it, as far as that is known. (On the API page "Hello" has 39 tokens; its body
    has some 100 bytes.) Pictures count by their size, as MiniMax says nothing about theirs.
    """
    return _highest_cost(request, _size(request) + _image_tokens(request))


def _highest_cost(request: TurnRequest, tokens: int) -> float | None:
    """The same for a request like this one, with so many tokens in."""
    return catalog.highest_cost(request.ask.options.model, tokens, _max_tokens(request))


def _size(request: TurnRequest) -> int:
    """The bytes of a request's body, but for its pictures."""
    return len(request.request.encode()) - sum(len(each.data) for each in request.pictures)


def _image_tokens(request: TurnRequest) -> int:
    return sum(image_tokens(each.size) for each in request.pictures)


def _tokens(requests: int, tokens: int, longest: int) -> str:
    """The sentence on so many requests, with so many tokens in all: estimated, and at most."""
    return (
        f"{counted(requests, 'request')}: about {tokens:,} tokens in, and at most {longest:,} out, "
        "as max_tokens allows."
    )


def _once_more(first: TurnRequest) -> str:
    """A sentence on what a forecast of typed answers can't count."""
    if first.ask.type is None:
        return ""
    return " If an answer does not fit the type, the model is asked again, which costs extra."


def too_many(what: str, number: int, limit: int, told: str, line: str) -> UsageError:
    """The error of a cell that would do this more than `limit` times; `line` is what goes ahead."""
    return UsageError(
        f"this would {what}; more than {limit:,} need confirmation",
        next_steps=(
            told,
            f"To go ahead: `{line}`",
            f"To raise the limit: `%config MiniMax.confirm_above = {number}`",
        ),
    )


def _at_most(sent: TurnRequest, prices: Sequence[tuple[float | None, int]]) -> str:
    """A sentence on what requests like this one may cost: these prices, each so many times."""
    backend = sent.answerer.backend
    if backend == OFFLINE:
        return "Free: the answers come from the offline demo."
    known = [price * times for price, times in prices if price is not None]
    if backend != "minimax" or len(known) < len(prices):
        return "The price is unknown."
    return f"At most about {dollars(sum(known))}, with prices as of {PRICES_DATE}."


def _max_tokens(request: TurnRequest) -> int:
    return as_count(request.request.parameters.get("max_tokens")) or 0


def _where(answerer: Answerer) -> str:
    """Where the answer to a request is that is not sent."""
    if isinstance(answerer, Nobody):
        return "missing from the recording"
    return "in the recording" if isinstance(answerer, Recorded) else "in this notebook"
