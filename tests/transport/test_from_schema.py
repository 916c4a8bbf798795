"""The embedded backend's JSON: it fits the schema that it is made from."""

import datetime
import decimal
import enum
import json
import uuid
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from mm_magic.session.values import ValueType
from mm_magic.transport.demo.from_schema import json_from


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Node(BaseModel):
    name: str
    children: "list[Node]"
    parent: "Node | None" = None


class Everything(BaseModel):
    limited: Annotated[int, Field(ge=1, le=5)]
    below: Annotated[int, Field(lt=0)]
    share: Annotated[float, Field(gt=0, lt=1)]
    step: Annotated[int, Field(multiple_of=7, ge=10)]
    day: datetime.date
    moment: datetime.datetime
    hour: datetime.time
    span: datetime.timedelta
    id: uuid.UUID
    exact: decimal.Decimal
    several: Annotated[list[int], Field(min_length=4, max_length=5)]
    long: Annotated[str, Field(min_length=12)]
    short: Annotated[str, Field(max_length=2)]
    counts: dict[str, Colour]
    triple: tuple[int, str, float]
    words: set[str]
    is_so: bool
    word: Literal["x"]
    maybe: int | None
    anything: Any


TYPES = [
    Everything, Node, Colour, int, float, str, bool, type(None), list[Everything],
    Literal["yes", "no"], dict[str, int], tuple[int, ...], int | str,
]  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("answer", [1, 2, 7])
def test_it_fits(kind: object, answer: int) -> None:
    """Each answer is a value of the type, and the same schema gives the same."""
    wanted = ValueType.of(kind)
    made = json.dumps(json_from(wanted.schema, answer))

    wanted.read(made)
    assert json.dumps(json_from(wanted.schema, answer)) == made


def test_answers_differ() -> None:
    """Several answers to one prompt begin with other words."""
    schema = ValueType.of(Literal["a", "b", "c"]).schema

    assert [json_from(schema, answer) for answer in (1, 2, 3)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "schema",
    [
        {}, {"type": 5}, {"$ref": "#/$defs/none"}, {"$ref": "#"}, {"enum": []}, {"anyOf": "x"},
        {"type": "array", "minItems": 10**9}, {"type": "string", "minLength": 10**9},
        {"type": "object", "properties": []}, {"type": "object", "required": "x"},
        {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
        {"type": "integer", "minimum": 5, "maximum": 1}, {"type": "number", "minimum": "x"},
        {"type": "integer", "multipleOf": 0}, {"type": ["null", "string"]},
    ],
    ids=str,
)  # fmt: skip
def test_any_schema_gives_something_small(schema: dict[str, object]) -> None:
    """A schema that nobody can fill, or that leads to itself, still ends in a small answer."""
    assert len(json.dumps(json_from(schema))) < 2000
