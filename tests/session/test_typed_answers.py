"""`type=`: an answer as a value, asked for once more where it does not fit."""

import asyncio
import enum
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, assert_type

import pytest
from pydantic import BaseModel, Field, field_validator
from support.loopback import END, Answer, Loopback, captured, chunk, failure, head, sse, streamed
from support.timing import calls_of
from typing_extensions import TypedDict

import mm_magic as mm
from mm_magic.conversation.saved_turn import read_turn, turn_json
from mm_magic.prompt.schema import split_schema, with_schema
from mm_magic.rendering.status_line import status_notes, status_parts
from mm_magic.session.api import forget_session, session
from mm_magic.session.values import ValueType, WrongValue


@dataclass
class Review:
    title: str
    year: int


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Point(TypedDict):
    x: int


class Book(BaseModel):
    title: str
    tags: list[Annotated[str, Field(max_length=5)]]


GOOD = '{"title": "Emma", "year": 1815}'
NO_YEAR = '{"title": "Emma"}'


def said(text: str, stop_reason: str = "end_turn") -> Answer:
    events = captured(text=text)
    events[-2]["delta"]["stop_reason"] = stop_reason
    return streamed(events)


@pytest.fixture(autouse=True)
def _new_session() -> Iterator[None]:
    forget_session()
    yield
    forget_session()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that gives these answers."""
    servers: list[Loopback] = []

    def begin(*given: str | Answer) -> Loopback:
        server = Loopback(*(said(each) if isinstance(each, str) else each for each in given))
        servers.append(server.__enter__())
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        return server

    yield begin
    for server in servers:
        server.__exit__(None, None, None)


def error_of(*given: Any, **options: Any) -> mm.MiniMaxError:
    with pytest.raises(mm.MiniMaxError) as caught:
        mm.ask(*given, **options)
    return caught.value


# Values


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Review, GOOD, Review("Emma", 1815)),
        (list[Review], f"[{GOOD}]", [Review("Emma", 1815)]),
        (Mood, '"bad"', Mood.BAD),
        (Literal["yes", "no"], 'I say\n"yes"', "yes"),
        (Point, '{"x": 3}', {"x": 3}),
        (int, "42", 42),
        (int | None, "null", None),
        (dict[str, int], '```json\n{"a": 1}\n```', {"a": 1}),
        (Book, '{"title": "E", "tags": []}', Book(title="E", tags=[])),
    ],
    ids=str,
)
def test_values(kind: Any, text: str, value: object) -> None:
    """Whatever pydantic's TypeAdapter takes is a type, and the last JSON of the answer its value"""
    assert ValueType.of(kind).read(text) == value


def test_types_for_type_checkers(answers: Any) -> None:
    """A type checker knows the type of the value; this test is checked by mypy, too."""
    answers(GOOD)
    assert_type(mm.ask("Q", type=Review), mm.Reply[Review])
    assert_type(mm.ask("Q", type=Review).value, Review)
    assert_type(mm.ask("Q"), mm.Reply)
    assert_type(mm.compare("Q", type=Review)[0].value, Review)
    reply: mm.Reply = mm.ask("Q")
    assert reply.text == GOOD
    if TYPE_CHECKING:
        assert_type(mm.ask("Q", type=list[str]).value, list[str])
        assert_type(mm.ask("Q", type=Literal["a", "b"]).value, Any)


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        (Review, NO_YEAR, "`year` is missing"),
        (Review, "{}", "`title` is missing; `year` is missing"),
        (Book, '{"title": 1, "tags": ["a", "toolong"]}',
         "`title` should be a valid string; `tags[1]` should have at most 5 characters"),
        (Review, "[1]", "the value should be an object"),
        (Mood, '"so so"', "the value should be 'good' or 'bad'"),
        (Review, "No.", "the answer has no JSON in it"),
        (Review, " ", "the answer is empty"),
        (Review, '{"title": "Em', 'the JSON breaks off after `{"title":`'),
        (Review, '{"title": "Emma" "year": 1}', 'the JSON is broken after `{"title": "Emma"`'),
        (Review, '{"title": "\\ud800", "year": 1}', "the value: invalid JSON"),
        (list[Review], "[{},{},{},{}]", "and 3 more"),
    ],
)  # fmt: skip
def test_what_is_wrong(kind: Any, text: str, why: str) -> None:
    """What is wrong is said in the words of the notebook, shortly."""
    with pytest.raises(WrongValue) as caught:
        ValueType.of(kind).read(text)

    assert why in str(caught.value)


def test_many_wrong_things() -> None:
    """Only those that are told are put into words: an answer of 1 MB holds the kernel up no longer
    than its reading takes."""
    kind, places = ValueType.of(dict[str, list[int]]), 2000
    text = json.dumps({"places": ["no"] * places})

    def read() -> None:
        with pytest.raises(WrongValue, match="and 1995 more"):
            kind.read(text)

    assert calls_of(read) < 15 * places


@pytest.mark.parametrize("kind", [5, print, sys, {"a": 1}, (int, str), Callable[[], int]], ids=str)
def test_no_type(kind: object) -> None:
    """What is no type is an error before anything is sent, with types that work."""
    error = error_of("Q", type=kind)

    assert error.kind == "usage"
    assert "no answer can be read as" in error.message
    assert "list[str]" in error.next_steps[0]
    assert "/" not in error.message


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Review, "Review"), (list[Review], "list[Review]"), (NewType("Year", int), "Year"),
        (Review | None, "Review | None"), (Annotated[int, Field(gt=0)], "Annotated[int, "),
        (Literal["a.b", "c"], "Literal['a.b', 'c']"),
    ],
    ids=str,
)  # fmt: skip
def test_names(kind: object, name: str) -> None:
    """A type is called what the notebook calls it."""
    assert ValueType.of(kind).name.startswith(name)


def test_a_type_in_quotes() -> None:
    """A name as text is an error that says to write it without quotes."""
    error = error_of("Q", type="Review")

    assert "got the text 'Review'" in error.message
    assert "without quotes" in error.next_steps[0]


def test_the_value_is_read_with_the_types_own_checks(answers: Any) -> None:
    """A check that refuses is told to the model; one that fails itself is an error at once."""

    class Checked(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def check(cls, n: int) -> int:
            if n > 5:
                raise ValueError("must be small")
            return 1 // n

    server = answers('{"n": 9}', '{"n": 1}', '{"n": 0}')
    assert mm.ask("Q", type=Checked).value.n == 1
    assert "`n`: must be small" in server.requests[1].json["messages"][-1]["content"]
    error = error_of("Q", type=Checked)
    assert "the check in Checked raised ZeroDivisionError" in error.message
    assert len(server.requests) == 3


# The request, and the one that asks once more


def test_what_is_sent(answers: Any) -> None:
    """The schema stands behind one's own system prompt; an answer that fits is asked for once."""
    server = answers(GOOD)
    reply = mm.ask("Q", type=Review, system="Be brief.")

    system = server.requests[0].json["system"]
    assert split_schema(system) == ("Be brief.", ValueType.of(Review).schema)
    assert reply.value == Review("Emma", 1815)
    assert reply.first_try is None
    assert len(server.requests) == 1


def test_asked_once_more(answers: Any) -> None:
    """The repair request quotes what was wrong, behind the answer with its thinking."""
    server = answers(NO_YEAR, GOOD)
    reply = mm.ask("Q", type=Review)

    first, second = (request.json for request in server.requests)
    assert second["system"] == first["system"]
    prompt, answer, repair = second["messages"]
    assert prompt == first["messages"][0]
    assert [block["type"] for block in answer["content"]] == ["thinking", "text"]
    assert "`year` is missing" in repair["content"]
    assert reply.value == Review("Emma", 1815)
    assert reply.text == GOOD


def test_both_requests_are_counted_and_told(answers: Any) -> None:
    """The tokens of both are counted as one answer, and the line below says what was wrong."""
    answers(NO_YEAR, GOOD)
    mm.ask("Q", type=Review)

    turn = session().latest.turn
    assert turn is not None
    assert "78 in / 82 out" in status_parts(turn)
    assert status_notes(turn)[0] == (
        "The first answer did not fit the type (“year” is missing), so the model was asked again."
    )
    total = session().meter.total()
    assert (total.answers, total.input, total.output) == (1, 78, 82)


def test_the_price_is_that_of_both() -> None:
    """What it cost is the sum; unknown if one of them is."""
    from mm_magic.conversation.catalog import price_of
    from mm_magic.conversation.reply import FirstTry, Reply
    from mm_magic.protocol.messages import Message, Usage

    usage = Usage(input_tokens=1000, output_tokens=1000)
    once = Reply(Message(usage=usage))
    twice = Reply(Message(usage=usage), first_try=FirstTry("", "", usage))
    unknown = Reply(Message(usage=usage), first_try=FirstTry("", ""))
    price = price_of(once, "MiniMax-M2.7")

    assert price is not None
    assert price_of(twice, "MiniMax-M2.7") == pytest.approx(2 * price)
    assert price_of(unknown, "MiniMax-M2.7") is None


def test_it_is_not_remembered(answers: Any) -> None:
    """The conversation holds the prompt and the answer that fits, and nothing of the repair."""
    server = answers("before", NO_YEAR, GOOD, "after")
    mm.ask("A", conversation="main")
    mm.ask("B", conversation="main", type=Review)
    mm.ask("C", conversation="main")

    texts = [_text(each) for each in server.requests[2].json["messages"]]
    assert texts[:4] == ["A", "before", "B", NO_YEAR]
    assert [_text(each) for each in server.requests[3].json["messages"]] == [
        "A", "before", "B", GOOD, "C",
    ]  # fmt: skip


def _text(message: Any) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def test_a_second_wrong_answer_is_an_error(answers: Any) -> None:
    """After one repair request it is an error of the kind `value`, with the answer."""
    server = answers(NO_YEAR, "[]", GOOD)
    error = error_of("Q", type=Review, conversation="main")

    assert isinstance(error, mm.AnswerError)
    assert (error.kind, error.retryable) == ("value", False)
    assert error.message == "the answer is not of type Review: the value should be an object"
    assert error.reply is not None
    assert error.reply.text == "[]"
    assert error.reply.first_try is not None
    assert error.reply.first_try.text == NO_YEAR
    mm.ask("C", conversation="main")
    assert [_text(each) for each in server.requests[2].json["messages"]] == ["C"]
    assert session().meter.total().output == 3 * 41


@pytest.mark.parametrize("text", ['{"title": "Em', "Let me think", '[{"title": "a", "year": 1},'])
def test_cut_at_max_tokens(answers: Any, text: str) -> None:
    """A cut answer says that, and with what limit it may be whole; it is not asked for again."""
    server = answers(said(text, "max_tokens"))
    error = error_of("Q", type=Review, max_tokens=100)

    assert error.message.startswith("the answer was cut off at max_tokens 100: ")
    assert "--max-tokens 2048" in error.next_steps[0]
    assert len(server.requests) == 1


def test_a_repair_that_fails_keeps_the_first_answer(answers: Any) -> None:
    """Where the repair request is refused, the error is that of the service, with the answer."""
    answers(NO_YEAR, [failure(400, "no (2013)", "invalid_request_error")])
    error = error_of("Q", type=Review, retries=0)

    assert error.kind == "bad_request"
    assert error.reply is not None
    assert (error.reply.text, error.reply.status) == (NO_YEAR, "incomplete")
    assert session().meter.total().output == 41


def test_a_repair_that_breaks_off(answers: Any) -> None:
    """What came of the second answer is in the error; the first is beside it."""
    events = captured(text='{"title": "Em')
    answers(NO_YEAR, [head(), *(chunk(sse(event)) for event in events[:-3]), END])
    error = error_of("Q", type=Review)

    assert error.kind == "protocol"
    assert error.reply is not None
    assert error.reply.text == '{"title": "Em'
    assert error.reply.first_try is not None


# The reply


def test_a_missing_attribute_says_value(answers: Any) -> None:
    """What the value has and the Reply does not is told; anything else is a usual error."""
    answers(GOOD)
    reply: Any = mm.ask("Q", type=Review)
    data: Any = mm.ask("Q", type=dict)
    untyped: Any = mm.ask("Q")

    with pytest.raises(AttributeError, match=r"its value has one: `reply\.value\.year`"):
        _ = reply.year
    with pytest.raises(AttributeError, match=r"its value has one: `reply\.value\['year'\]`"):
        _ = data.year
    with pytest.raises(AttributeError, match=r"no attribute 'colour'$"):
        _ = reply.colour
    with pytest.raises(AttributeError, match="to get one, use `type=`"):
        _ = untyped.value
    assert not hasattr(untyped, "value")


def test_a_reply_can_be_copied_and_sent_to_a_process(answers: Any) -> None:
    """A typed reply is pickled with its value."""
    import copy
    import pickle

    answers(NO_YEAR, GOOD)
    reply = mm.ask("Q", type=Review)

    for other in (copy.deepcopy(reply), pickle.loads(pickle.dumps(reply))):
        assert other == reply
        assert other.value == reply.value


def test_saved_and_read(answers: Any) -> None:
    """A file keeps both tries; the value of a turn that was read from it is plain data."""
    answers(NO_YEAR, GOOD)
    mm.ask("Q", type=Review, conversation="main")
    turn = session().latest.turn
    assert turn is not None
    saved = json.loads(json.dumps(turn_json(turn, None)))
    saved["later"] = 1
    read = read_turn(saved).turn

    assert read.reply.value == {"title": "Emma", "year": 1815}
    assert read.reply.first_try == turn.reply.first_try
    assert turn_json(read, None) == saved


def test_a_wrong_answer_in_a_file_is_not_sent(answers: Any) -> None:
    """The turn of an answer that was not of its type does not enter from a file, either."""
    answers(NO_YEAR, NO_YEAR)
    error = error_of("Q", type=Review, conversation="main")
    assert error.reply is not None
    request = session().latest.request
    assert request is not None
    read = read_turn(turn_json(request.turn(error.reply), None)).turn

    assert not read.reply.may_enter()
    assert not read.reply.has_value


# Several answers, recordings, the demo


def test_compare(answers: Any) -> None:
    """Each answer is asked for once more by itself; one that fails does not end the others."""

    def answer(connection: Any) -> None:
        body = connection.request.json
        is_repair = len(body["messages"]) > 1
        text = GOOD if body["temperature"] == 1 or is_repair else NO_YEAR
        if body["temperature"] == 0.5:
            text = "no"
        for step in said(text):  # type: ignore[union-attr]
            step(connection)

    answers(answer)
    replies = mm.compare("Q", temperature=[0.1, 1], type=Review)
    assert [reply.value.year for reply in replies] == [1815, 1815]
    assert [reply.first_try is None for reply in replies] == [False, True]
    assert list(replies.to_frame()["value"]) == [Review("Emma", 1815)] * 2

    with pytest.raises(mm.AnswerError) as caught:
        mm.compare("Q", temperature=[0.5, 1], type=Review, conversation="main")
    assert caught.value.replies is not None
    assert [reply.has_value for reply in caught.value.replies] == [False, True]
    turn = session().latest.turn
    assert turn is not None
    assert turn.answer == 2
    assert turn.choices == [2]


def test_key(answers: Any) -> None:
    """The schema is part of what is asked, and one's own system prompt alone is another request."""
    answers(GOOD)
    keys = []
    for options in ({"type": Review}, {"type": Book}, {}, {"type": Review, "system": "x"}):
        with suppress(mm.AnswerError):
            mm.ask("Q", **options)
        request = session().latest.request
        assert request is not None
        keys.append(request.request_key.hash)
    mm.ask("Q", system=with_schema("", ValueType.of(Review).schema))
    request = session().latest.request
    assert request is not None

    assert len(set(keys)) == 4
    assert request.request_key.hash == keys[0]


def test_an_event_loop(answers: Any) -> None:
    """Many at once, each with its own value."""

    async def many() -> list[int]:
        asked = (mm.ask_async("Q", type=Review) for _ in range(5))
        return [reply.value.year for reply in await asyncio.gather(*asked)]

    answers(GOOD)
    assert asyncio.run(many()) == [1815] * 5


def test_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo makes its JSON from the schema; a practice prompt shows the repair request."""
    monkeypatch.setenv("MINIMAX_BACKEND", "offline")
    value = mm.ask("Q", type=Review).value
    wrong = mm.ask("demo wrong value", type=Review)

    assert isinstance(value, Review)
    assert wrong.first_try is not None
    assert wrong.first_try.problem == "`title` is missing; `year` is missing"
    assert isinstance(wrong.value, Review)
    years = [reply.value.year for reply in mm.compare("Q", type=Review, n=3)]
    assert len(set(years)) == 3


# Without pydantic


def test_pydantic_is_imported_when_a_type_is_asked_for() -> None:
    """Neither `import mm_magic` nor an ask without a type imports it."""
    code = (
        "import sys, mm_magic as mm\n"
        "mm.ask('Q')\n"
        "print('pydantic' in sys.modules)\n"
        "mm.ask('Q', type=int)\n"
        "print('pydantic' in sys.modules)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"MINIMAX_BACKEND": "offline", "PYTHONPATH": str(root), "PATH": ""},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("found", [None, ModuleType("pydantic")])
def test_without_pydantic(monkeypatch: pytest.MonkeyPatch, found: ModuleType | None) -> None:
    """The error gives the line that installs it, also where there is a version without types."""
    monkeypatch.setitem(sys.modules, "pydantic", found)
    error = error_of("Q", type=int)

    assert "pydantic" in error.message
    assert error.next_steps == ('To install it: `%pip install "mm_magic[types]"`',)
