"""`type=` for the rows of a table: a column for each field, and a second request if none fits."""

import asyncio
import math
import threading
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pandas as pd
import polars as pl
import pytest
from pydantic import AfterValidator, BaseModel, Field, RootModel, WithJsonSchema
from support.loopback import Connection, Loopback, captured, failure, streamed, until
from support.rows import kernel
from typing_extensions import TypedDict

import mm_magic as mm
from mm_magic.errors import AnswerError, MiniMaxError, UsageError
from mm_magic.session.api import forget_session, session
from mm_magic.session.rows.columns import Columns
from mm_magic.session.rows.job import RowsJob, RowsOptions
from mm_magic.session.values import ValueType

ABOUT = ["answer_error", "answer_tokens", "answer_seconds"]
TREES = pd.DataFrame({"name": ["oak", "elm", "fir"]}, index=[3, 3, 4])
ASK = "Tell of {{name}}"


class Leaf(Enum):
    NEEDLE = "needle"
    BROAD = "broad"


@dataclass
class Tree:
    """What a row is read as."""

    height: int
    leaf: Leaf
    seen: date | None = None


OAK = '{"height": 30, "leaf": "broad", "seen": "1601-05-01"}'
FIR = '{"height": 40, "leaf": "needle"}'
WRONG = '{"leaf": "broad"}'


class Speaks:
    """Answers each row with its texts, one after another; the last again and again."""

    def __init__(self, **texts: list[str]) -> None:
        self._texts = {name: [*each] for name, each in texts.items()}
        self.asked = Counter[str]()

    def __call__(self, connection: Connection) -> None:
        messages = connection.request.json["messages"]
        name = messages[0]["content"].split()[-1]
        self.asked[name] += 1
        texts = self._texts[name]
        text = texts.pop(0) if len(texts) > 1 else texts[0]
        if text == "boom":
            failure(400, "no (2013)")(connection)
            return
        events = captured(text=text.removeprefix("cut:"))
        if text.startswith("cut:"):
            events[-2]["delta"]["stop_reason"] = "max_tokens"
        for step in streamed(events):
            step(connection)


def speaks(**texts: list[str]) -> Speaks:
    """The usual trees, and these."""
    return Speaks(**{"oak": [OAK], "elm": [OAK], "fir": [FIR], **texts})


def last_prompt(server: Loopback) -> str:
    return str(server.requests[-1].json["messages"][-1]["content"])


def without_second_requests(path: Path) -> None:
    """Leave the file as a kernel leaves it that dies before them."""
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b"does not fit" not in line]
    assert len(kept) < len(lines)
    path.write_bytes(b"".join(kept))


def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new kernel with neither a server nor a key."""
    monkeypatch.delenv("MINIMAX_BASE_URL")
    monkeypatch.delenv("MINIMAX_API_KEY", raising=False)
    forget_session()


def test_a_column_for_each_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold numbers, labels and dates as pandas does; what was there is as it was."""
    with kernel(monkeypatch, speaks()) as server:
        found = mm.map(ASK, TREES, type=Tree)
        assert all("JSON Schema" in each.json["system"] for each in server.requests)
    pd.testing.assert_frame_equal(found[["name"]], TREES)
    assert list(found.columns) == ["name", "height", "leaf", "seen", *ABOUT]
    assert found["height"].dtype == "Int64"
    assert found["leaf"].dtype == pd.CategoricalDtype(["needle", "broad"])
    assert found["seen"].dt.year.tolist()[:2] == [1601, 1601]
    assert found["leaf"].tolist() == ["broad", "broad", "needle"]
    assert found["answer_error"].isna().all()


def test_refused_thinking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses thinking once gets no more of it, also when a row is asked again."""
    speaker = speaks(oak=[WRONG, OAK], elm=[WRONG, OAK])
    carried = []

    def answer(connection: Connection) -> None:
        body = connection.request.body
        if b"does not fit" in body:
            carried.append(b'"type":"thinking"' in body)
            if len(carried) == 1:
                failure(400, "invalid params, thinking is not accepted (2013)")(connection)
                return
        speaker(connection)

    with kernel(monkeypatch, answer):
        found = mm.map(ASK, TREES[:2], type=Tree, parallel=1)
    assert found["height"].tolist() == [30, 30]
    assert carried == [True, False, False]


def test_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    """polars in, polars out, with its own types."""
    with kernel(monkeypatch, speaks(fir=[WRONG])), pytest.warns(UserWarning, match="1 row failed"):
        found = mm.map(ASK, pl.DataFrame({"name": ["oak", "fir"]}), type=Tree)
    kinds = [pl.Int64, pl.Enum(["needle", "broad"]), pl.Date]
    assert found.dtypes[1:4] == kinds
    assert found.select("height", "leaf", "seen").rows() == [
        (30, "broad", date(1601, 5, 1)),
        (None, None, None),
    ]


def test_a_list_of_dicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes back as a pandas DataFrame, typed as any other."""
    with kernel(monkeypatch, speaks()):
        found = mm.map(ASK, [{"name": "oak"}], type=Tree)
    assert found["height"].tolist() == [30]
    assert list(found.dtypes)[1:3] == [pd.Int64Dtype(), pd.CategoricalDtype(["needle", "broad"])]


class Both(IntEnum):
    ONE = 1
    TWO = 2


class Named(NamedTuple):
    n: int


class Point(TypedDict, total=False):
    x: int
    y: float


class Wide(BaseModel):
    n: int = Field(alias="N")
    inner: Tree | None = None


PLAIN: list[tuple[object, str, object, str]] = [
    (int, "30", 30, "Int64"),
    (int, str(10**30), 10**30, "object"),
    (float, "1.5", 1.5, "float64"),
    (bool, "true", True, "boolean"),
    (str, '"yes"', "yes", "object"),
    (date, '"1601-05-01"', pd.Timestamp("1601-05-01"), "datetime64[s]"),
    (datetime, '"2026-01-01T01:00"', pd.Timestamp("2026-01-01T01:00"), "datetime64[us]"),
    (datetime, '"2026-01-01T01:00+01:00"', pd.Timestamp("2026-01-01T00:00Z"),
     "datetime64[us, UTC]"),
    (Literal["good", "bad"], '"bad"', "bad", "category"),
    (Literal["good", None], '"good"', "good", "category"),
    (Literal[1, 2], "2", 2, "Int64"),
    (Literal[1, "two"], '"two"', "two", "object"),
    (Leaf, '"needle"', "needle", "category"),
    (Both, "2", 2, "Int64"),
    (int | None, "30", 30, "Int64"),
    (int | str, '"x"', "x", "object"),
    (list[int], "[1, 2]", [1, 2], "object"),
    (dict[str, int], '{"a": 1}', {"a": 1}, "object"),
    (Named, "[1]", Named(1), "object"),
    (Tree | None, OAK, Tree(30, Leaf.BROAD, date(1601, 5, 1)), "object"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "value", "dtype"), PLAIN)
def test_a_type_without_fields(
    monkeypatch: pytest.MonkeyPatch, kind: object, text: str, value: object, dtype: str
) -> None:
    """It fills the column of the answer, which has the same type where there is no value."""
    rows = [{"name": "oak"}, {"name": "elm"}]
    with kernel(monkeypatch, speaks(oak=[text], elm=["no JSON"])), pytest.warns(UserWarning):  # noqa: PT030
        found = mm.map(ASK, rows, column="label", type=kind)
    names = ["name", "label", "label_error", "label_tokens", "label_seconds"]
    assert list(found.columns) == names
    assert found["label"].tolist()[0] == value
    assert found["label"].isna().tolist() == [False, True]
    assert str(found["label"].dtype) == dtype


@pytest.mark.parametrize("kind", [each[0] for each in PLAIN if each[0] is not Named])
def test_polars_holds_any_type(monkeypatch: pytest.MonkeyPatch, kind: object) -> None:
    """What polars has no type for is an object; nothing that was paid for is lost."""
    text = next(text for each, text, _, _ in PLAIN if each is kind)
    with kernel(monkeypatch, speaks(oak=[text])):
        found = mm.map(ASK, pl.DataFrame({"name": ["oak", "oak"]}), type=kind)
    assert found["answer"].null_count() == 0


class Bee(BaseModel):
    wings: int


class Fir(BaseModel):
    height: int


@dataclass(slots=True)
class Elm:
    height: int


NOT_ALIKE: list[tuple[object, list[str], list[object]]] = [
    (dict[str, int], ['{"a": 1}', '{"b": 2}'], [{"a": 1}, {"b": 2}]),
    (list[dict[str, int]], ['[{"a": 1}]', '[{"b": 2}]'], [[{"a": 1}], [{"b": 2}]]),
    (Fir | Bee, ['{"height": 1}', '{"wings": 4}'], [Fir(height=1), Bee(wings=4)]),
    (datetime, ['"2026-01-01T00:00"', '"2026-01-01T00:00Z"'],
     [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "texts", "values"), NOT_ALIKE)
def test_polars_loses_nothing_of_values_that_differ(
    monkeypatch: pytest.MonkeyPatch, kind: object, texts: list[str], values: list[object]
) -> None:
    """It would give all dicts the keys of the first, and all times one zone."""
    with kernel(monkeypatch, speaks(oak=texts[:1], elm=texts[1:])):
        found = mm.map(ASK, pl.DataFrame({"name": ["oak", "elm"]}), type=kind)
    assert found["answer"].to_list() == values


@pytest.mark.parametrize("kind", [Elm | None, dict[str, int], Fir | None])
def test_polars_makes_a_struct_of_values_that_are_alike(
    monkeypatch: pytest.MonkeyPatch, kind: object
) -> None:
    """Fields can be taken out of it, whatever class the values are of."""
    with kernel(monkeypatch, speaks(oak=['{"height": 1}'], elm=['{"height": 2}'])):
        found = mm.map(ASK, pl.DataFrame({"name": ["oak", "elm"]}), type=kind)
    assert found["answer"].struct.field("height").to_list() == [1, 2]


OTHERS: list[tuple[object, str, dict[str, object]]] = [
    (Point, '{"x": 1, "y": 2}', {"x": 1, "y": 2.0}),
    (Wide, f'{{"N": 1, "inner": {FIR}}}', {"n": 1, "inner": Tree(40, Leaf.NEEDLE)}),
    (Annotated[Tree, AfterValidator(lambda tree: tree)], FIR, {"height": 40, "leaf": "needle"}),
]


@pytest.mark.parametrize(("kind", "text", "values"), OTHERS)
def test_other_types_with_fields(
    monkeypatch: pytest.MonkeyPatch, kind: object, text: str, values: dict[str, object]
) -> None:
    """A TypedDict, a pydantic model by the names that Python has for its fields."""
    with kernel(monkeypatch, speaks(oak=[text])):
        found = mm.map(ASK, [{"name": "oak"}], type=kind)
    assert {name: found[name][0] for name in values} == values


class Root(RootModel[Tree]):
    pass


class Score(RootModel[int]):
    pass


class Ghost(BaseModel):
    model_config = {"json_schema_extra": {"properties": {"n": {}, "ghost": {}}}}
    n: Score


AROUND: list[tuple[object, str, dict[str, object]]] = [
    (Root, FIR, {"height": 40, "leaf": "needle"}),
    (Score, "3", {"answer": 3}),
    (Ghost, '{"n": 3}', {"n": 3, "ghost": None}),
]


@pytest.mark.parametrize(("kind", "text", "values"), AROUND)
def test_what_is_around_a_value_is_taken_off(
    monkeypatch: pytest.MonkeyPatch, kind: object, text: str, values: dict[str, object]
) -> None:
    """A RootModel holds one; a field that only the schema names is missing."""
    with kernel(monkeypatch, speaks(oak=[text])):
        found = mm.map(ASK, [{"name": "oak"}], type=kind)
    assert {name: found[name][0] for name in values} == values


@pytest.mark.parametrize("made", [lambda tree: tree.height, lambda _: None])
def test_a_check_that_leaves_no_fields(
    monkeypatch: pytest.MonkeyPatch, made: Callable[[Tree], object]
) -> None:
    """The row says so; the model is not asked again, since its answer was right."""
    answer = speaks()
    with kernel(monkeypatch, answer), pytest.warns(UserWarning, match="1 row failed"):
        found = mm.map(ASK, TREES.head(1), type=Annotated[Tree, AfterValidator(made)])
    told = found["answer_error"].tolist()[0]
    assert "with none of the type's fields" in told
    assert " at 0x" not in told
    assert answer.asked.total() == 1


class Loud(BaseModel):
    leaf: Annotated[Literal["needle", "broad"], AfterValidator(str.upper)]
    seen: Annotated[date, AfterValidator(lambda day: datetime(day.year, 1, 1, 1, 0, 0, 5))]
    height: Annotated[float, AfterValidator(str)]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_a_check_that_makes_another_value(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[Any], Any]
) -> None:
    """It is in its cell as it is, where the column's kind would lose it or change it."""
    text = '{"leaf": "broad", "seen": "1601-05-01", "height": 1.50}'
    with kernel(monkeypatch, speaks(oak=[text])):
        found = mm.map(ASK, make([{"name": "oak"}]), type=Loud)
    values = [found[name].to_list()[0] for name in ("leaf", "seen", "height")]
    assert values == ["BROAD", datetime(1601, 1, 1, 1, 0, 0, 5), "1.5"]


def test_what_a_terminal_would_act_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why a row failed is shown in pictures of control characters, whoever put them there."""

    def asks(row: Any) -> str:
        if row.name == "elm":
            raise ValueError("\x1b[31m")
        return f"Tell of {row.name}"

    def refuses(connection: Connection) -> None:
        is_oak = "oak" in connection.request.json["messages"][0]["content"]
        (speaks(oak=["\x1b[31mred"]) if is_oak else failure(400, "no \x1b[31m"))(connection)

    with kernel(monkeypatch, refuses), pytest.warns(UserWarning, match="3 rows failed") as warned:
        found = mm.map(asks, TREES, type=Tree)
    for told in [*found["answer_error"], *(str(each.message) for each in warned)]:
        assert "\x1b" not in told
        assert "␛[31m" in told


def test_a_field_that_the_answer_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cell is missing."""
    with kernel(monkeypatch, speaks(oak=['{"x": 1}'])):
        found = mm.map(ASK, [{"name": "oak"}], type=Point)
    assert math.isnan(found["y"][0])


Old = Annotated[
    Leaf, WithJsonSchema({"allOf": [{"enum": ["needle", "broad"]}], "default": "broad"})
]
"""As pydantic 2.8 describes a field with a default."""


class Aged(BaseModel):
    leaf: Old
    sure: Old | None = None


WhollyOld = Annotated[Aged, WithJsonSchema({"allOf": [Aged.model_json_schema()]})]


@pytest.mark.parametrize("kind", [Aged, WhollyOld])
def test_a_schema_of_an_older_pydantic(kind: object) -> None:
    """The columns are of the same kinds as by a newer one."""
    labels = ("needle", "broad")
    assert Columns.of("answer", ValueType.of(kind)).values == {"leaf": labels, "sure": labels}


Hundreds = TypedDict("Hundreds", {f"f{n}": float for n in range(120)}, total=False)  # type: ignore[misc]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_hundreds_of_fields(monkeypatch: pytest.MonkeyPatch, make: Callable[[Any], Any]) -> None:
    """pandas has nothing to say of how the table was made."""
    with kernel(monkeypatch, speaks(oak=['{"f7": 7}'])), warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mm.map(ASK, make([{"name": "oak"}]), type=Hundreds)
    assert found.shape == (1, 124)
    assert found["f7"].to_list() == [7]


def test_what_a_frame_carries_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of its columns, and its `attrs`; also where a column has two levels, or a label."""
    for columns in (
        pd.Index(["name"], name="x"),
        pd.CategoricalIndex(["name"], name="x"),
        pd.MultiIndex.from_tuples([("name", "")], names=["x", "y"]),
    ):
        table = pd.DataFrame([["oak"]], columns=columns, index=[7])
        table.attrs["from"] = "here"
        with kernel(monkeypatch, speaks()):
            found = mm.map(ASK, table, type=Tree)
        assert found.attrs == {"from": "here"}
        assert found.columns.names == columns.names
        assert list(found.columns.get_level_values(0)) == ["name", "height", "leaf", "seen", *ABOUT]
        assert found["height"].tolist() == [30]


def test_an_empty_table_has_the_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent, and the columns are typed: engines ask so for what will come."""
    with kernel(monkeypatch, speaks()) as server:
        found = mm.map(ASK, TREES.head(0), type=Tree)
        full = mm.map(ASK, TREES, type=Tree)
        assert len(server.requests) == 3
    assert list(found.dtypes) == list(full.dtypes)


# Asked once more


def test_asked_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong answer is asked for once more, with what was wrong; tokens are those of both."""
    answer = speaks(oak=[WRONG, OAK])
    with kernel(monkeypatch, answer) as server:
        found = mm.map(ASK, TREES.head(1), type=Tree)
        first, again = server.requests
        assert len(again.json["messages"]) == 3
        assert "`height` is missing" in last_prompt(server)
        assert again.json["system"] == first.json["system"]
        assert len(mm.map(ASK, TREES.head(1), type=Tree)) == 1
    assert answer.asked == {"oak": 2}
    assert found["height"].tolist() == [30]
    assert found["answer_tokens"].tolist() == [82]


def test_a_second_wrong_answer_fails_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are there; the error says what was wrong, and another run asks this row alone."""
    answer = speaks(elm=[WRONG, "Sorry, no idea.", OAK])
    with kernel(monkeypatch, answer):
        with pytest.warns(UserWarning, match="1 row failed: the answer is not of"):
            found = mm.map(ASK, TREES, type=Tree)
        assert found["height"].tolist()[::2] == [30, 40]
        told = found["answer_error"].tolist()[1]
        assert told == (
            "the answer is not of type Tree: the answer has no JSON in it; "
            "the answer was: Sorry, no idea."
        )
        assert found["answer_tokens"].tolist() == [41, 82, 41]
        again = mm.map(ASK, TREES, type=Tree)
        assert again["height"].tolist() == [30, 30, 40]
    assert answer.asked == {"oak": 1, "elm": 3, "fir": 1}


NOT_MENDED = {"cut": ("cut:{", "was cut off at max_tokens 2048"), "empty": ("", "answer is empty")}


@pytest.mark.parametrize(("text", "says"), NOT_MENDED.values(), ids=NOT_MENDED)
def test_not_asked_once_more(monkeypatch: pytest.MonkeyPatch, text: str, says: str) -> None:
    """An answer that was cut off, or is empty, is not asked for again in the same run."""
    answer = speaks(oak=[text])
    with kernel(monkeypatch, answer), pytest.warns(UserWarning, match="1 row failed"):
        found = mm.map(ASK, TREES, type=Tree)
    assert says in found["answer_error"].tolist()[0]
    assert answer.asked == {"oak": 1, "elm": 1, "fir": 1}


def test_a_check_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the type's own code is told, and not sent to the model."""

    def divides(height: int) -> int:
        return 1 // (height - 30)

    answer = speaks(oak=["30"], elm=["31"])
    kind = Annotated[int, AfterValidator(divides)]
    with kernel(monkeypatch, answer), pytest.warns(UserWarning, match="1 row failed"):
        found = mm.map(ASK, TREES.head(2), type=kind)
    assert "ZeroDivisionError" in found["answer_error"].tolist()[0]
    assert answer.asked == {"oak": 1, "elm": 1}


def test_on_error_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is of the kind `value`, with the answer, and the table so far."""
    with kernel(monkeypatch, speaks(elm=[WRONG])), pytest.raises(AnswerError) as raised:
        mm.map(ASK, TREES, type=Tree, on_error="raise", parallel=1)
    assert raised.value.kind == "value"
    assert raised.value.reply is not None
    assert raised.value.reply.text == WRONG
    assert raised.value.rows["height"].isna().tolist() == [False, True, True]


def test_the_second_request_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row has that error; another run sends the second request again, and no first one."""
    answer = speaks(oak=[WRONG, "boom", OAK])
    with kernel(monkeypatch, answer) as server:
        with pytest.warns(UserWarning, match="1 row failed"):
            mm.map(ASK, TREES, type=Tree)
        server.requests.clear()
        assert mm.map(ASK, TREES, type=Tree)["height"].tolist() == [30, 30, 40]
        assert "`height` is missing" in last_prompt(server)
        assert len(server.requests) == 1


def test_stopped_between_the_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wrong answer was paid for: another run sends the second request alone."""
    hold, answer = threading.Event(), speaks(oak=[WRONG, OAK])

    def slow(connection: Connection) -> None:
        if len(connection.request.json["messages"]) > 1 and not hold.is_set():
            until(hold)(connection)
        answer(connection)

    async def stop_it(server: Loopback) -> None:
        task = asyncio.create_task(mm.map_async(ASK, TREES, type=Tree))
        while len(server.requests) < 4 or sum(map(len, session().row_answers.values())) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with kernel(monkeypatch, slow) as server:
        asyncio.run(stop_it(server))
        hold.set()
        server.requests.clear()
        assert mm.map(ASK, TREES, type=Tree)["height"].tolist() == [30, 30, 40]
        assert len(server.requests) == 1


# What is known


def test_without_a_key_the_file_gives_the_same_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also a row that was asked for once more, one that failed so, and one whose second request
    was refused."""
    path = tmp_path / "a.jsonl"
    rows = [{"name": name} for name in ("oak", "elm", "fir", "yew", "ash")]
    answer = speaks(
        elm=[WRONG, OAK], fir=[WRONG, "no"], yew=[WRONG, "boom"], ash=["cut:{"]
    )  # fmt: skip
    with kernel(monkeypatch, answer):
        with pytest.warns(UserWarning, match="3 rows failed"):
            once = mm.map(ASK, rows, type=Tree, file=path)
        no_server(monkeypatch)
        with pytest.warns(UserWarning, match="3 rows failed"):
            again = mm.map(ASK, rows, type=Tree, file=path)
    pd.testing.assert_frame_equal(once, again)
    assert once["height"].isna().tolist() == [False, False, True, True, True]


def test_a_new_kernel_asks_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kernel that died between the two requests costs the second one alone."""
    path, answer = tmp_path / "a.jsonl", speaks(oak=[WRONG, OAK])
    with kernel(monkeypatch, answer) as server:
        mm.map(ASK, TREES, type=Tree, file=path)
        without_second_requests(path)
        forget_session()
        server.requests.clear()
        assert mm.map(ASK, TREES, type=Tree, file=path)["height"].tolist() == [30, 30, 40]
        assert "`height` is missing" in last_prompt(server)
        assert len(server.requests) == 1


def test_other_rows_in_the_same_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A table that is asked in parts has one type: nothing is said of a changed option."""
    with kernel(monkeypatch, speaks()):
        for part in range(3):
            mm.map(ASK, TREES.iloc[part : part + 1], type=Tree, file=tmp_path / "a.jsonl")
        with pytest.warns(UserWarning, match="no answers to these prompts"):
            mm.map(ASK, TREES, type=dict[str, Any], file=tmp_path / "a.jsonl")


@pytest.mark.parametrize("text", [WRONG, "boom"])
def test_rows_that_failed_are_no_other_prompt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    """Where every row failed, the same line asks them again and says nothing of its prompt."""
    with kernel(monkeypatch, speaks(oak=[text])):
        for _ in range(2):
            with pytest.warns(UserWarning, match=".") as warned:
                mm.map(lambda row: f"Tell of {row.name}", TREES.head(1), type=Tree,
                       file=tmp_path / "a.jsonl")  # fmt: skip
            assert ["1 row failed" in str(each.message) for each in warned] == [True]


def test_another_type_by_the_same_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that was defined anew reads the answers that are there; what fits no more is asked
    for again."""

    def of(highest: int) -> object:
        def check(tree: Tree) -> Tree:
            assert tree.height <= highest, "too high"
            return tree

        return Annotated[Tree, AfterValidator(check)]

    answer = speaks(fir=[FIR, FIR, OAK])
    with kernel(monkeypatch, answer):
        mm.map(ASK, TREES, type=of(100))
        mm.map(ASK, TREES, type=of(90))
        assert answer.asked.total() == 3
        assert mm.map(ASK, TREES, type=of(35))["height"].tolist() == [30, 30, 30]
    assert answer.asked == {"oak": 1, "elm": 1, "fir": 3}


def test_text_and_another_type_are_asked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema is a part of the request."""
    answer = speaks(oak=["30"])
    with kernel(monkeypatch, answer):
        rows = TREES.head(1)
        assert mm.map(ASK, rows)["answer"].tolist() == ["30"]
        assert mm.map(ASK, rows, type=int)["answer"].tolist() == [30]
        assert mm.map(ASK, rows, type=float)["answer"].tolist() == [30.0]
        mm.map(ASK, rows, type=int)
    assert answer.asked == {"oak": 3}


def test_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers with JSON made from the schema, the same in every run, and wrong on purpose."""
    monkeypatch.setenv("MINIMAX_BACKEND", "offline")
    forget_session()
    found = mm.map(ASK, TREES, type=Tree)
    pd.testing.assert_frame_equal(mm.map(ASK, TREES, type=Tree, fresh=True)[found.columns[:4]],
                                  found[found.columns[:4]])  # fmt: skip
    assert found["height"].notna().all()
    mended = mm.map(lambda _: "demo wrong value", TREES.head(1), type=Tree)
    assert mended["height"].notna().all()
    forget_session()


# What stands in the way


TAKEN: dict[str, tuple[list[str], Any, str]] = {
    "a field": (["name", "height"], Tree, "'height'"),
    "a column about the answer": (["name", "answer_error"], Tree, "'answer_error'"),
    "a field, after a map to text": (["name", "height", "answer", *ABOUT], Tree, "'height'"),
    "some fields of an earlier map": (["name", "height", "leaf", *ABOUT], Tree, "'height'"),
    "the answer": (["name", "answer"], int, "'answer'"),
}


@pytest.mark.parametrize(("names", "kind", "taken"), TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, lambda rows: rows])
def test_a_name_that_is_taken(
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Any], Any],
    names: list[str],
    kind: Any,
    taken: str,
) -> None:
    """It is an error before anything is sent."""
    table = make([dict.fromkeys(names, "oak")])
    with kernel(monkeypatch, speaks()) as server:
        with pytest.raises(UsageError, match=f"the table already has a column {taken}"):
            mm.map(ASK, table, type=kind)
        assert server.requests == []


def test_the_line_that_leaves_a_column_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has it, as the table's own kind needs it."""
    with kernel(monkeypatch, speaks()):
        for make, line in {
            pd.DataFrame: "rows.drop(columns='height')",
            pl.DataFrame: "rows.drop('height')",
        }.items():
            table = make([{"name": "oak", "height": 1}])
            with pytest.raises(UsageError) as raised:
                mm.map(ASK, table, type=Tree)
            assert f"`{line}`" in raised.value.card()
            assert list(eval(line, {"rows": table}).columns) == ["name"]


@pytest.mark.parametrize("first", [None, Tree], ids=["text", "typed"])
def test_a_table_that_came_back_goes_in_again(
    monkeypatch: pytest.MonkeyPatch, first: object
) -> None:
    """What an earlier map has added is replaced, whether it was typed or not."""
    with kernel(monkeypatch, speaks()):
        once = mm.map(ASK, TREES, type=first)
        again = mm.map("Tell me of {{name}}", once, type=Tree)
        assert list(again.columns) == ["name", "height", "leaf", "seen", *ABOUT]
        third = mm.map("Tell us of {{name}}", again)
    assert list(third.columns) == ["name", "height", "leaf", "seen", "answer", *ABOUT]


@dataclass
class Judged:
    """A field has the name that a text has."""

    why: str
    answer: bool


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, lambda rows: rows])
def test_a_field_by_the_name_of_the_answer(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[Any], Any]
) -> None:
    """The table that came back goes in again; a column of the table's own is never replaced."""
    judged = '{"why": "tall", "answer": true}'
    with kernel(monkeypatch, speaks(oak=[judged])):
        rows = make([{"name": "oak"}])
        once = mm.map(ASK, rows, type=Judged)
        again = mm.map(ASK, once, type=Judged)
        assert list(again.columns) == ["name", "why", "answer", *ABOUT]
        labels = mm.map(ASK, rows, "why", type=Judged)
        assert list(mm.map(ASK, labels, "why", type=Judged).columns) == list(labels.columns)
        own = make([{"why": "own", "name": "oak", "answer": "text", **dict.fromkeys(ABOUT, 1)}])
        with pytest.raises(UsageError, match="the table already has a column 'why'"):
            mm.map(ASK, own, type=Judged)


def test_a_field_by_the_name_of_an_own_column() -> None:
    """Two columns can't have one name; another `column` is the way out."""

    @dataclass
    class Odd:
        answer_tokens: int

    with pytest.raises(UsageError, match="Odd has a field 'answer_tokens'"):
        Columns.of("answer", ValueType.of(Odd))
    assert "reply_tokens" in Columns.of("reply", ValueType.of(Odd)).kinds


def test_a_missing_first_answer_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a key, a row whose second request was never sent says what was wrong."""
    path = tmp_path / "a.jsonl"
    with kernel(monkeypatch, speaks(oak=[WRONG, OAK])):
        mm.map(ASK, TREES, type=Tree, file=path)
        without_second_requests(path)
        no_server(monkeypatch)
        with pytest.warns(UserWarning, match="1 row failed"):
            found = mm.map(ASK, TREES, type=Tree, file=path)
    assert "`height` is missing" in found["answer_error"].tolist()[0]


def test_all_kinds_of_errors_have_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing more can be asked, the table so far is typed."""
    with kernel(monkeypatch, lambda c: failure(401, "invalid api key (2049)")(c)):
        with pytest.raises(MiniMaxError) as raised:
            mm.map(ASK, TREES, type=Tree)
        assert raised.value.rows["height"].dtype == "Int64"


SAID = {
    "cut short": (
        "no " * 100,
        r"the answer was: (no ?)+n?… The column answer_error says why\. Run the same line",
    ),
    "whole": (
        "no.",
        r"the answer was: no\. The column answer_error says why\. Run the same line again to send "
        "only this row",
    ),
}


@pytest.mark.parametrize(("text", "told"), SAID.values(), ids=SAID)
def test_the_sentence_on_failed_rows(monkeypatch: pytest.MonkeyPatch, text: str, told: str) -> None:
    """It ends as a sentence does, also where an answer was cut short."""
    with kernel(monkeypatch, speaks(oak=[text])), pytest.warns(UserWarning, match=told):
        mm.map(ASK, TREES, type=Tree)


def test_the_sentence_where_rows_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run asks these, too."""
    with kernel(monkeypatch, speaks(oak=["no"])):
        kind, options = ValueType.of(Tree), session().options
        how = RowsOptions(options, parallel=1, on_error="raise", type=kind)
        job = RowsJob(session(), ASK, TREES, how)
        with pytest.raises(AnswerError):
            asyncio.run(job.run(None))
    assert job.concerns[0].endswith("Run the same line again to send this row and the rest.")


def test_the_demo_answers_rows_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody watches, the demo's 60 rows take seconds: no word of theirs is read."""
    monkeypatch.setenv("MINIMAX_BACKEND", "offline")
    forget_session()
    session().cells.begin("a", "[1]", frozenset(), is_watched=True)
    mm.map(ASK, TREES, type=Tree)
    assert session().sender.demo.speed > 10
    forget_session()
