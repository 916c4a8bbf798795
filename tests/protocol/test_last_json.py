"""The JSON in an answer: which piece of a text counts, and what it costs to find it."""

import json
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.timing import calls_of

from mm_magic.protocol.last_json import LastJson, last_json

FOUND = {
    "alone": ('{"a": 1}', '{"a": 1}'),
    "between words": ('Here: {"a": [1, {"b": 2}]} as asked.', '{"a": [1, {"b": 2}]}'),
    "a draft before it": ('{"a": 1}\nNo, wrong.\n{"a": 2}', '{"a": 2}'),
    "braces in the planning": ('I use {name} and {...}. {"a": 1}', '{"a": 1}'),
    "a template before it": ('Fill {"a": ..., "b": ...}: {"a": 1}', '{"a": 1}'),
    "half a list before it": ('See [1, and then {"a": 1}', '{"a": 1}'),
    "a quoted brace before it": ('Begin with {" and end: {"a": 1}', '{"a": 1}'),
    "two quoted braces": ('{"a {"b": 1}', '{"b": 1}'),
    "brackets in a string": ('{"a": "} ] {"}', '{"a": "} ] {"}'),
    "escapes in a string": (r'{"a": "\"}\\"}', r'{"a": "\"}\\"}'),
    "a fence first": ('```json\n{"a": 1}\n```\nas in [1]', '{"a": 1}'),
    "the last fence": ("```\n[1]\n```\n~~~~json\n[2]\n~~~~", "[2]"),
    "a fence in a list": ("- so:\n  ```json\n  [1]\n  ```", "[1]"),
    "a fence that is open": ("```json\n[1]", "[1]"),
    "a fence of code": ('```python\nx = {"a": 1}\n```\n{"b": 2}', '{"b": 2}'),
    "a word in a fence": ('```json\n"yes"\n```', '"yes"'),
    "a number": ("42", "42"),
    "a number on the last line": ("Six times seven:\n\n-4.2e1\n", "-4.2e1"),
    "a list, then a number": ("I had [1, 2].\n3", "3"),
    "space around": ('\r\n\t {"a"\n:\t1 } \n', '{"a"\n:\t1 }'),
    "empty ones": ("{} and []", "[]"),
}
NONE = {
    "nothing": ("", None),
    "words": ("I can't say.", None),
    "a number in words": ("It is 42.", None),
    "a word without quotes": ("yes", None),
    "not JSON's words": ("[NaN]", None),
    "cut in a list": ('[{"a": 1}, {"a": 2}, {"a"', 25),
    "cut in a number's list": ("[1,\n2", 5),
    "a missing comma": ('{"a": [1] "b": 2}', 10),
    "a piece of a broken one": ('{"a": {"b": 1} oops}', 15),
    "a line end in a string": ('{"a": "one\ntwo"}', 6),
    "a zero before": ('{"a": 01}', 7),
    "a comma too many": ('{"a": 1,}', 8),
    "single quotes": ("{'a': 1}", None),
}


@pytest.mark.parametrize(("text", "expected"), FOUND.values(), ids=FOUND)
def test_what_counts(text: str, expected: str) -> None:
    """The last value counts; a fenced one first."""
    assert last_json(text) == LastJson(expected)


@pytest.mark.parametrize(("text", "broken_at"), NONE.values(), ids=NONE)
def test_where_it_breaks(text: str, broken_at: int | None) -> None:
    """Nothing is repaired: what is no JSON is none, and the place is told."""
    found = last_json(text)

    assert found.json is None
    assert found.broken_at is None or abs(found.broken_at - (broken_at or 0)) <= 1
    assert (found.broken_at is None) == (broken_at is None)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@given(values.filter(lambda value: isinstance(value, dict | list)), st.text("ab1 \n,.:'"))
def test_any_value_is_found(value: object, words: str) -> None:
    """Whatever a value holds, it is found whole behind other words."""
    text = json.dumps(value)

    assert last_json(f"{words}\n{text}") == LastJson(text)


@given(st.text('[]{}",:\\ a1\n`~', max_size=40))
def test_what_is_found_is_json(text: str) -> None:
    """What is found can be read as it stands, and it stands in the text."""
    found = last_json(text).json

    assert found is None or found in text
    assert found is None or json.loads(found) is not Ellipsis


@pytest.mark.parametrize(
    "piece",
    [
        "[", '{"a":', '["', '["\\"', "[1,", '{"a":1}', '"', "```\n", '[{"a":["', '["a" ', '[""',
        '["["[""', ',[" 1]{1', "{{", "\\[", '{"a":"x[', "~~~\n[",
    ],
)  # fmt: skip
def test_hostile_text_takes_linear_time(piece: str) -> None:
    """Twice the text takes twice the work, however it begins again and again."""
    short, long = (calls_of(partial(last_json, piece * n)) for n in (500, 1000))

    assert long < 2.5 * short + 50


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000])
def test_depth_is_no_error(text: str) -> None:
    """Any depth is read."""
    assert last_json(text).json in (None, text)
