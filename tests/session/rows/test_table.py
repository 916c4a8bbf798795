"""What goes into `mm.map` comes back, with four more columns."""

import pickle
import re
import sys
import warnings
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd
import polars as pl
import pytest
from support.rows import asked, echo, kernel

import mm_magic as mm
from mm_magic.errors import UsageError

COLUMNS = ["answer", "answer_error", "answer_tokens", "answer_seconds"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    with kernel(monkeypatch) as server:
        yield server


INDEXES = {
    "numbers": pd.RangeIndex(3),
    "duplicates": pd.Index([7, 7, 1], name="id"),
    "words": pd.Index(["b", "a", "b"]),
    "several levels": pd.MultiIndex.from_tuples([(1, "x"), (1, "x"), (2, "y")], names=["n", "k"]),
    "times": pd.DatetimeIndex(["2026-01-01", "2026-01-01", "2025-01-01"], tz="UTC"),
    "missing": pd.Index([1.0, float("nan"), float("nan")]),
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_pandas_comes_back_with_its_index(server: Any, index: "pd.Index[Any]") -> None:
    """The same rows in the same order under the same index, and the answers at the end."""
    frame = pd.DataFrame({"text": ["b", "a", "b"], "n": [1, 2, 3]}, index=index)
    before = frame.copy()
    found = mm.map("Say {{text}}", frame)

    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(found[["text", "n"]], before)
    assert list(found.columns) == ["text", "n", *COLUMNS]
    assert list(found["answer"]) == ["<Say b>", "<Say a>", "<Say b>"]
    assert asked(server) == ["Say a", "Say b"]


@pytest.mark.usefixtures("server")
def test_polars_comes_back() -> None:
    """polars in, polars out; a refused row has its error and no answer."""
    with pytest.warns(UserWarning, match="1 row failed"):
        found = mm.map("Say {{text}}", pl.DataFrame({"text": ["a", "boom"]}))

    assert isinstance(found, pl.DataFrame)
    assert found["answer"].to_list() == ["<Say a>", None]
    assert "boom" in found["answer_error"][1]
    assert found["answer_tokens"].to_list() == [41, None]


@dataclass
class Tree:
    """A row with fields."""

    name: str
    height: float


Leaf = namedtuple("Leaf", ["name", "height"])

OTHERS: dict[str, Any] = {
    "dicts": [{"name": "oak", "height": 2.0}, {"name": "elm"}],
    "dataclasses": [Tree("oak", 2.0), Tree("elm", 1.0)],
    "named tuples": [Leaf("oak", 2.0), Leaf("elm", 1.0)],
    "generator": ({"name": name} for name in ("oak", "elm")),
}


@pytest.mark.parametrize("rows", OTHERS.values(), ids=OTHERS)
@pytest.mark.usefixtures("server")
def test_rows_of_other_sorts_come_back_as_pandas(rows: Any) -> None:
    """Dicts, dataclasses, named tuples and generators become a pandas DataFrame."""
    found = mm.map("Say {{name}}", rows)

    assert isinstance(found, pd.DataFrame)
    assert list(found["name"]) == ["oak", "elm"]
    assert list(found["answer"]) == ["<Say oak>", "<Say elm>"]


PLAIN: dict[str, tuple[Any, str]] = {
    "texts": (["oak", "elm"], "value"),
    "a tuple": (("oak", "elm"), "value"),
    "an array": (np.array(["oak", "elm"]), "value"),
    "a pandas Series": (pd.Series(["oak", "elm"], name="tree", index=[3, 3]), "tree"),
    "a Series without a name": (pd.Series(["oak", "elm"]), "value"),
    "a polars Series": (pl.Series("tree", ["oak", "elm"]), "tree"),
}


@pytest.mark.parametrize(("rows", "column"), PLAIN.values(), ids=PLAIN)
def test_plain_values_are_a_table_of_one_column(server: Any, rows: Any, column: str) -> None:
    """`{{row}}` is the value itself, also by the name of the column, and for a function."""
    found = mm.map("Say {{row}}", rows)

    assert list(found.columns) == [column, *COLUMNS]
    assert list(found["answer"]) == ["<Say oak>", "<Say elm>"]
    assert list(mm.map(f"Say {{{{{column}}}}}", rows)["answer"]) == list(found["answer"])
    assert list(mm.map(lambda row: f"Say {row}", rows)["answer"]) == list(found["answer"])
    assert asked(server) == ["Say elm", "Say oak"]


def test_a_function_makes_the_prompt(server: Any) -> None:
    """It gets the row, by keys and by attributes; `{{row}}` is all of it."""
    frame = pd.DataFrame({"name": ["oak"], "first name": ["old"], "values": [3]})
    mm.map(lambda row: f"{row['first name']} {row.name} {row.values} {dict(row)['name']}", frame)
    mm.map("{{row}} | {{row.name}} {{row['first name']}}", frame)

    assert asked(server) == ["name: oak\nfirst name: old\nvalues: 3 | oak old", "old oak 3 oak"]


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("column", ["No.", "weight [kg]", "[0]", ".x", "{a}", "a b "])
def test_a_column_of_any_name(server: Any, column: str, quote: str) -> None:
    """In quotes a name may begin and end with marks; its row without a value is counted."""
    with pytest.warns(UserWarning, match="1 row has no value"):
        mm.map(f"Say {{{{row[{quote}{column}{quote}]}}}}", [{column: 7}, {column: None}])

    assert asked(server) == ["Say ", "Say 7"]


def test_the_line_for_a_column_of_any_name(server: Any) -> None:
    """What an error tells to write works, whatever quotes are in the name."""
    for column in ("No.", "weight [kg]", "don't", 'the "x"', "'q'"):
        with pytest.raises(UsageError) as error:
            mm.map("Say it.", [{column: 7}])
        (insert,) = re.findall(r"`(.*)`", error.value.next_steps[0])
        mm.map(f"Say {insert}", [{column: column}])
        assert asked(server)[-1] == f"Say {column}"
        server.requests.clear()


@pytest.mark.parametrize(
    "empty",
    [pd.DataFrame({"text": []}), pl.DataFrame({"text": []}), [], pd.Series([], name="text")],
    ids=["pandas", "polars", "list", "Series"],
)
def test_empty_table_sends_nothing(monkeypatch: pytest.MonkeyPatch, empty: Any) -> None:
    """It needs no key, and has the columns and types that a full one gets."""
    with kernel(monkeypatch) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", "")
        monkeypatch.delenv("MINIMAX_API_KEY", raising=False)
        found = mm.map("Say {{text}}", empty)

        assert len(found) == 0
        assert list(found.columns)[-4:] == COLUMNS
        assert server.requests == []
    with kernel(monkeypatch):
        full = mm.map("Say {{row}}", ["a"])
    if isinstance(found, pd.DataFrame):
        assert list(found.dtypes)[-4:] == list(full.dtypes)[-4:]


NO_VALUES = {
    "None": None, "NaN": float("nan"), "NaT": pd.NaT, "NA": pd.NA, "Decimal": Decimal("sNaN"),
    "float32": np.float32("nan"), "datetime64": np.datetime64("NaT", "D"),
}  # fmt: skip


@pytest.mark.parametrize("value", NO_VALUES.values(), ids=NO_VALUES)
def test_missing_values_are_empty(server: Any, value: object) -> None:
    """They are sent as nothing, and a note says so; a prompt of nothing else is a failed row."""
    frame = pd.DataFrame({"text": [value, "a"]}, dtype=object)
    with pytest.warns(UserWarning, match="^1 row has no value for {{text}}, so its prompt"):
        mm.map("Say {{text}}.", frame)
    with pytest.warns(UserWarning, match="1 row failed: the prompt is empty") as told:
        found = mm.map("{{text}}", frame)

    assert len(told) == 1
    assert asked(server) == ["Say .", "Say a.", "a"]
    assert list(found["answer_error"].isna()) == [False, True]


WITHOUT_VALUES: dict[str, tuple[Any, str, list[str]]] = {
    "pandas": (pd.DataFrame({"a": [1.5, None, None], "b": ["x", None, "z"]}), "{{a}} {{b}}",
               ["2 rows have no value for {{a}}", "1 row has no value for {{b}}"]),
    "polars": (pl.DataFrame({"a": [1, None, 3], "b": [None, 2.5, float("nan")]}), "{{a}} {{b}}",
               ["2 rows have no value for {{b}}", "1 row has no value for {{a}}"]),
    "dicts": ([{"a": 1}, {"a": 2, "b": 3}], "{{row.b}} {{row['b']}}",
              ["1 row has no value for {{row.b}}", "1 row has no value for {{row['b']}}"]),
    "a column twice": ([{"a": None}], "{{a}} {{a}}", ["1 row has no value for {{a}}"]),
    "a series": (pd.Series(["x", None]), "{{row}}", ["1 row has no value for {{row}}"]),
    "a list": (["x", None], "{{value}}", ["1 row has no value for {{value}}"]),
    "a column called row": ([{"row": None, "a": 1}], "{{row}}", ["1 row has no value for {{row}}"]),
    "an unused column": ([{"a": 1, "b": None}], "{{a}}", []),
    "the whole row, a column without a name": ([{"a": 1, "": None}], "{{row}}", []),
    "the whole row": ([{"a": 1, "b": None}], "{{row}}", []),
    "an empty text": ([{"a": ""}], "{{a}}", []),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "prompt", "told"), WITHOUT_VALUES.values(), ids=WITHOUT_VALUES)
@pytest.mark.usefixtures("server")
def test_rows_without_a_value_are_counted(rows: Any, prompt: str, told: list[str]) -> None:
    """A note for each `{{…}}` says how many rows have nothing there, in a second run, too."""
    for _ in range(2):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            mm.map(f"Say {prompt}.", rows)
        assert [str(each.message).partition(",")[0] for each in found] == told


def test_one_row_without_a_prompt(server: Any) -> None:
    """A table of this row alone comes back, too; `on_error="raise"` raises."""
    with pytest.warns(UserWarning, match="1 row failed: the prompt is empty"):
        found = mm.map("{{text}}", pd.DataFrame({"text": [None]}))
    assert list(found["answer_error"]) == ["the prompt is empty"]
    with pytest.raises(UsageError, match="the prompt is empty"):
        mm.map("{{text}}", pd.DataFrame({"text": [None, "a"]}), on_error="raise")
    assert server.requests == []


@pytest.mark.usefixtures("server")
def test_one_bad_cell_fails_one_row(tmp_path: Any) -> None:
    """What is no data, and a function that raises, fail their rows alone."""
    with (tmp_path / "f").open("w") as file, pytest.warns(UserWarning, match="1 row failed"):
        found = mm.map("Say {{x}}", [{"x": "a"}, {"x": file}])
    assert list(found["answer"]) == ["<Say a>", None]
    with pytest.warns(UserWarning, match="the prompt function raised KeyError: 'b'"):
        found = mm.map(lambda row: {"a": "x"}[row], ["a", "b"])
    assert list(found["answer"]) == ["<x>", None]


def test_a_function_that_always_fails_is_a_slip(server: Any) -> None:
    """Nothing is sent, and its error is raised."""
    with pytest.raises(UsageError, match="raised AttributeError"):
        mm.map(lambda row: row.nme, [{"name": "oak"}])
    with pytest.raises(UsageError, match="must be text, got int"):
        mm.map(cast("Any", len), ["a"])
    assert server.requests == []


def test_own_columns_are_replaced(server: Any) -> None:
    """Those of an earlier run are not in `{{row}}`, and stand at the end, once."""
    once = mm.map("Say {{row}}", pd.DataFrame({"text": ["a"]}))
    again = mm.map("Now {{row}}", once)

    assert list(again.columns) == ["text", *COLUMNS]
    assert asked(server) == ["Now text: a", "Say text: a"]
    other = mm.map("{{answer}}?", again, column="label")
    assert list(other.columns) == ["text", *COLUMNS, *(f"label{n[6:]}" for n in COLUMNS)]


FRAME = pd.DataFrame({"note": ["a"], "first name": ["b"]})
REFUSED: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "an unknown column": ("{{nope}}", FRAME, {}, "The table's columns: note, first name."),
    "a near miss": ("{{notes}}", FRAME, {}, "Did you mean `{{note}}`?"),
    "an unknown part of the row": ("{{row.nope}}", FRAME, {}, "no column 'nope'"),
    "an unknown key of the row": ("{{row['x y']}}", FRAME, {}, "no column 'x y'"),
    "no column at all": ("Say it", FRAME, {}, "Put a column into the prompt: `{{note}}`"),
    "single braces": ("Say {note}", FRAME, {}, "Write `{{note}}` in place of `{note}`"),
    "a name with a space": ("{{first name}}", FRAME, {}, "Write `{{row['first name']}}` in place"),
    "swapped": (FRAME, "{{note}}", {}, "Write the prompt first: `mm.map(prompt, rows)`"),
    "swapped with a list": (["a"], "{{row}}", {}, "Write the prompt first"),
    "no table": ("{{row}}", 3, {}, "got int"),
    "a text as table": ("{{row}}", "abc", {}, "got str"),
    "a dict of columns": ("{{a}}", {"a": [1]}, {}, "pd.DataFrame(rows)"),
    "rows of two sorts": ("{{a}}", [{"a": 1}, 2], {}, "Make all of them dicts"),
    "a column of the user's": ("{{row}}", [{"answer": 1}], {}, "column='reply'"),
    "no name": ("{{row}}", ["a"], {"column": ""}, "column must be a name"),
    "parallel 0": ("{{row}}", ["a"], {"parallel": 0}, "parallel must be a whole number"),
    "another on_error": ("{{row}}", ["a"], {"on_error": "stop"}, "'continue' or 'raise'"),
    "a list of values": ("{{row}}", ["a"], {"temperature": [0.1, 1]}, "temperature"),
    "an unknown option": ("{{row}}", ["a"], {"temprature": 1}, "map has no option"),
    "a conversation": ("{{row}}", ["a"], {"conversation": "main"}, "each row stands alone"),
    "a budget of nothing": ("{{row}}", ["a"], {"budget": 0}, "budget must be an amount in USD"),
}


@pytest.mark.parametrize(("prompt", "rows", "options", "says"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_is_sent(
    server: Any, prompt: Any, rows: Any, options: Any, says: str
) -> None:
    """The error says what is wrong and what works."""
    with pytest.raises(UsageError) as raised:
        mm.map(prompt, rows, **options)
    assert says in raised.value.card()
    assert server.requests == []


@pytest.mark.usefixtures("server")
def test_it_runs_inside_engines() -> None:
    """A partial of it can be pickled, gives the columns of an empty table, and runs in threads."""
    ask = pickle.loads(pickle.dumps(partial(mm.map, "Say {{n}}")))
    frame = pd.DataFrame({"n": range(40)})
    empty = ask(frame.head(0))
    with ThreadPoolExecutor(4) as pool:
        parts = [*pool.map(ask, [frame[at : at + 10] for at in range(0, 40, 10)])]
    found = pd.concat(parts)

    assert list(found["answer"]) == [f"<Say {n}>" for n in range(40)]
    assert list(found.dtypes) == list(empty.dtypes)
    assert list(found.index) == [*range(40)]


FRAMES = {
    "numbered columns": (pd.DataFrame([[1, 2]]), "{{row['1']}}", "<2>"),
    "columns of two levels": (
        pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])),
        "{{row}}",
        "<('a', 'b'): 1>",
    ),
    "two columns of one name": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "{{a}}", "<2>"),
    "categories": (pd.DataFrame({"a": pd.Categorical(["x"])}), "{{a}}", "<x>"),
    "lists in cells": (pd.DataFrame({"a": [[1, 2]]}), "{{a[0]}}", "<1>"),
    "dicts in cells": (pd.DataFrame({"a": [{"b": 3}]}), "{{a['b']}}", "<3>"),
}


@pytest.mark.parametrize(("frame", "prompt", "answer"), FRAMES.values(), ids=FRAMES)
@pytest.mark.usefixtures("server")
def test_odd_frames(frame: Any, prompt: str, answer: str) -> None:
    """They come back as they were, with the answer."""
    found = mm.map(prompt, frame)
    assert found["answer"].iloc[0] == answer
    assert found.shape == mm.map(prompt, found).shape == (1, frame.shape[1] + 4)


def test_without_pandas(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the pip line before anything is sent; polars needs no pandas."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError) as raised:
        mm.map("Say {{row}}", ["a"])
    assert "To install it: `pip install pandas`" in raised.value.card()
    assert server.requests == []
    assert mm.map("Say {{row}}", pl.Series("x", ["a"]))["answer"].to_list() == ["<Say a>"]


def test_ten_thousand_rows_with_few_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal rows are asked once, however many there are."""
    with kernel(monkeypatch, echo) as server:
        frame = pd.DataFrame({"n": [n % 7 for n in range(10_000)]})
        found = mm.map("Say {{n}}", frame)
        assert list(found["answer"]) == [f"<Say {n % 7}>" for n in range(10_000)]
        assert len(server.requests) == 7
