"""What each row of a table asks, and what is known of it before anything is sent."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject, encode_json
from mm_magic.protocol.request_key import RequestKey
from mm_magic.session.rows.answers import Answers, RowAnswer


class Todo(NamedTuple):
    """A request that is to be sent, by the hash of its key.

    Where an answer has come that is not of the type asked for, `first`, a better one is asked for.
    """

    name: str
    prompt: str
    first: RowAnswer | None = None


@dataclass(slots=True, eq=False)
class Plan:
    """The requests of a table, each once.

    `requests` has for each row the hash of its request, None where no prompt could be made:
    `refused` has the error. `todo` is what is to be sent, in the order of the rows; `answers` are
    those that are known. `repeated` counts further rows with the same request.
    """

    requests: list[str | None] = field(default_factory=list)
    refused: dict[int, UsageError] = field(default_factory=dict)
    todo: deque[Todo] = field(default_factory=deque)
    answers: dict[str, RowAnswer] = field(default_factory=dict)
    repeated: Counter[str] = field(default_factory=Counter)

    def rows_of(self, request: str) -> int:
        """How many rows have this request."""
        return 1 + self.repeated.get(request, 0)

    def sizes(self) -> Iterator[int]:
        """The bytes of each prompt that is to be sent, in JSON."""
        return (len(encode_json(each.prompt)) for each in self.todo)

    def row(self, place: int) -> RowAnswer:
        """What came of a row."""
        request = self.requests[place]
        if request is None:
            return RowAnswer(None, self.refused[place].message)
        return self.answers.get(request, _NOT_ASKED)


_NOT_ASKED = RowAnswer(None, "not sent yet")


def plan(
    prompts: Iterable[str | UsageError], asked: JsonObject, known: Answers, *, is_final: bool
) -> Plan:
    """The plan for rows with these prompts, all asked with the same options.

    A known failure counts as an answer only where nothing can be asked: then all `is_final`.
    """
    made = Plan()
    seen: dict[str, str] = {}  # a hash once, however many rows have it
    for place, prompt in enumerate(prompts):
        if isinstance(prompt, UsageError):
            made.requests.append(None)
            made.refused[place] = prompt
            continue
        key = key_of(asked, prompt)
        request = seen.setdefault(key.hash, key.hash)
        made.requests.append(request)
        if request is not key.hash:
            made.repeated[request] += 1
            continue
        found = known.find(key)
        if found is not None and (found.is_whole or is_final):
            made.answers[request] = found
        else:
            first = found if found is not None and found.to_mend else None
            made.todo.append(Todo(request, prompt, first))
    return made


def key_of(asked: JsonObject, prompt: str) -> RequestKey:
    """The key of a prompt that stands alone."""
    return RequestKey(asked, (), {"role": "user", "content": prompt})
