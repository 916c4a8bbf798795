"""`{{df}}`: a pandas table goes into a prompt as a readable one, and of a long one only a part."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from support.shells import fresh_shell

from mm_magic.errors import UsageError
from mm_magic.prompt.template import fill

TREES = pd.DataFrame({"tree": ["oak", "elm"], "height": [21.5, 18.0], "age": [140, 95]})
MARKDOWN = """\
| tree | height | age |
| --- | --- | --- |
| oak | 21.5 | 140 |
| elm | 18 | 95 |"""


def filled(value: object) -> str:
    """A prompt that is this value alone."""
    return fill("{{v}}", {"v": value}).prompt


def rows(text: str) -> list[list[str]]:
    """The cells of a table, without head and rule."""
    return [line.strip("| ").split(" | ") for line in text.splitlines()[2:] if "|" in line]


def test_a_table() -> None:
    """A DataFrame goes in as a Markdown table, without the numbers of its rows."""
    assert fill("{{v}}", {"v": TREES}) == (MARKDOWN, ())


@pytest.mark.parametrize(
    ("prompt", "whole"),
    [
        ("Look: {{v}} Which?", f"Look: \n\n{MARKDOWN}\n\n Which?"),
        ("Look:\n{{v}}\nWhich?", f"Look:\n\n{MARKDOWN}\n\nWhich?"),
        ("Look:\n\n\n{{v}}\n\nWhich?", f"Look:\n\n\n{MARKDOWN}\n\nWhich?"),
    ],
)
def test_blank_lines_around(prompt: str, whole: str) -> None:
    """A table has a blank line on each side where something stands there, and no more."""
    assert fill(prompt, {"v": TREES}).prompt == whole


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (TREES["tree"], "| tree |\n| --- |\n| oak |\n| elm |"),
        (pd.Series([1, 2]), "| value |\n| --- |\n| 1 |\n| 2 |"),
        (
            TREES.set_index("tree")["age"],
            "| tree | age |\n| --- | --- |\n| oak | 140 |\n| elm | 95 |",
        ),
        (
            TREES.groupby(["tree", "age"])[["height"]].agg(["min"]),
            "| tree | age | height / min |\n| --- | --- | --- |\n| elm | 95 | 18 |\n"
            "| oak | 140 | 21.5 |",
        ),
        (TREES[1:], "|  | tree | height | age |\n| --- | --- | --- | --- |\n| 1 | elm | 18 | 95 |"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "| a | a |\n| --- | --- |\n| 1 | 2 |"),
    ],
)
def test_labels(value: object, text: str) -> None:
    """Row labels go in where they say something; several levels and equal names do, too."""
    assert filled(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (1 / 3, "0.333333"),
        (-2 / 3, "-0.666667"),
        (100 / 3, "33.333333"),
        (123456.7890123, "123456.789012"),
        (0.00012345678, "0.000123457"),
        (1e-9 / 3, "3.33333e-10"),
        (1e300, "1e+300"),
        (float("-inf"), "-inf"),
        (np.float32(1 / 3), "0.333333"),
        (np.float32("nan"), "NaN"),
        (12345678901234.0, "12345678901234"),
        (float("nan"), "NaN"),
        (2**70, str(2**70)),
        (None, "None"),
        ("a|b\n  c", "a\\|b c"),
        (pd.Timestamp("2026-11-20"), "2026-11-20 00:00:00"),
        ("ü" * 60, "ü" * 60),
    ],
)
def test_values(value: object, text: str) -> None:
    """A cell is its value on one line, a float with the digits that pandas shows."""
    assert rows(filled(pd.Series([value], dtype=object))) == [[text]]


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"x": [1 / 3]}),
        pd.DataFrame({"x": [1 / 3]}, dtype="float32"),
        pd.DataFrame({"x": [1 / 3]}, dtype="Float64"),
        pd.Series([1 / 3], name="x"),
        pl.DataFrame({"x": [1 / 3]}),
        pl.Series("x", [1 / 3]),
    ],
)
def test_floats_of_every_table(table: object) -> None:
    """Every kind of table has six digits, and nothing is said to be left out."""
    assert fill("{{v}}", {"v": table}) == ("| x |\n| --- |\n| 0.333333 |", ())


def test_row_labels_have_the_same_digits() -> None:
    """An index of floats is written as the values are."""
    assert rows(filled(pd.Series([1], index=[1 / 3]))) == [["0.333333", "1"]]


def test_display_options_hold() -> None:
    """The precision that was set in pandas or polars, and pandas' own format, hold here, too."""
    table = pd.DataFrame({"x": [2 / 3, 200 / 3]})
    with pd.option_context("display.precision", 2):
        assert rows(filled(table)) == [["0.67"], ["66.67"]]
    with pd.option_context("display.float_format", "{:,.1f} EUR".format):
        assert rows(filled(table)) == [["0.7 EUR"], ["66.7 EUR"]]
    with pl.Config(float_precision=3):
        assert rows(filled(pl.from_pandas(table))) == [["0.667"], ["66.667"]]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("x" * 61, "x" * 59 + "…"),
        # The space stays: version 0.1 sent it, and its recordings are found by what is sent.
        ("x" * 58 + " yz", "x" * 58 + " …"),
        ("a " * 200, "a " * 29 + "a…"),
    ],
)
def test_a_long_cell(cell: str, text: str) -> None:
    """A cell of more than 60 characters is cut there, and that is said."""
    prompt, notes = fill("{{v}}", {"v": pd.DataFrame({"a": [cell]})})
    assert f"| {text} |" in prompt
    assert prompt.endswith("\n\n(cells cut at 60 characters)")
    assert notes == ("Sent from v: cells cut at 60 characters.",)


def test_a_large_table() -> None:
    """20 rows and 20 columns go in, and reader and model are told of how many."""
    large = pd.DataFrame({f"c{n}": range(5000) for n in range(25)})
    prompt, notes = fill("{{d.large}} {{d.large}}", {"d": type("D", (), {"large": large})})
    first, second = prompt.split("\n\n(20 of 5,000 rows, 20 of 25 columns)")[:2]
    assert [len(row) for row in rows(first)] == [20] * 20
    assert rows(first) == rows(second.lstrip())
    assert notes == ("Sent from d.large: 20 of 5,000 rows, 20 of 25 columns.",)


def test_20_rows_are_whole() -> None:
    """A table of just 20 rows is whole, and nothing is said."""
    assert fill("{{v}}", {"v": pd.DataFrame({"n": range(20)})}).notes == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [(TREES[:0], "no rows"), (pd.DataFrame(), "no rows, no columns")],
)
def test_an_empty_table(value: object, said: str) -> None:
    """A table without rows says so: else the model would not know why nothing is there."""
    assert filled(value).endswith(f"\n\n({said})")


def test_a_subclass() -> None:
    """What is derived from a DataFrame is a table: geopandas has such a one."""
    derived = type("Frame", (pd.DataFrame,), {})
    assert filled(derived(TREES)) == MARKDOWN


def test_a_polars_table() -> None:
    """A polars DataFrame or Series is a table, and cut as a pandas one is."""
    frame = pl.DataFrame({"n": range(5000), "s": "a|b"})
    prompt, notes = fill("{{v}}", {"v": frame})
    assert rows(prompt)[:2] == [["0", "a\\|b"], ["1", "a\\|b"]]
    assert prompt.endswith("\n\n(20 of 5,000 rows)")
    assert notes == ("Sent from v: 20 of 5,000 rows.",)
    assert filled(frame["n"][:1]) == "| n |\n| --- |\n| 0 |"
    assert filled(pl.Series([7])) == "| value |\n| --- |\n| 7 |"


class Tensor:
    """Stands for torch's, whose text this is."""

    shape = (5, 1000)

    def __str__(self) -> str:
        return "tensor([[   0,    1,    2,  ..., 4997, 4998, 4999]])"


Tensor.__module__ = "torch"


@pytest.mark.parametrize(
    "value",
    [
        np.arange(5000),
        np.zeros((50, 100)),
        np.array([f"it's {n}" for n in range(5000)]),
        pd.Index([f"{n}" for n in range(5000)]),
        pd.Series([f"{n}" for n in range(5000)]).unique(),
        Tensor(),
    ],
)
def test_a_cut_array(value: object) -> None:
    """Reader and model are told that a long array's own text leaves out its middle."""
    prompt, notes = fill("Sum {{v}}!", {"v": value})
    assert prompt == f"Sum {value} (only the ends of 5,000 values)!"
    assert notes == ("Sent from v: only the ends of 5,000 values.",)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(1000),
        np.array(["wait ... what", "it's ... that"]),
        pd.Categorical(["7"], categories=[f"{n}" for n in range(5000)]),
        "1 ... 5000",
        [1, ..., 5000],
        np.float64(0.5),
    ],
)
def test_a_whole_array(value: object) -> None:
    """An array that is whole, and other values with dots, go in as their text, and no word more."""
    assert fill("{{v}}", {"v": value}) == (str(value), ())


class DataFrame:
    """Not pandas': only its name is the same."""

    def __str__(self) -> str:
        return "mine"


def test_another_libraries_frame() -> None:
    """A class of the same name that is not pandas' is its text."""
    assert filled(DataFrame()) == "mine"


def test_a_broken_table() -> None:
    """A table that can't be read is an error that names it."""

    class Mute:
        def __str__(self) -> str:
            raise ValueError("no text")

    with pytest.raises(
        UsageError, match=r"\{\{v\}\} can't be filled in: converting it to text raised ValueError"
    ):
        filled(pd.Series([Mute()], dtype=object))


def test_the_line_below_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """The notes under the status line tell how many rows went in."""
    with fresh_shell() as shell:
        shell["df"] = pd.DataFrame({"n": range(5000)})
        shell.run("%%minimax --thinking disabled --max-tokens 5\nSum this:\n{{df}}")
    assert "\nSent from df: 20 of 5,000 rows.\n" in capsys.readouterr().out
