"""The type that `--type` names: a name in the notebook, `list[Review]`, `int | None`; no calls."""

import ast
import builtins
import operator
import typing
from collections.abc import Mapping

from mm_magic.errors import UsageError
from mm_magic.session.values import ValueType
from mm_magic.wording import closest


def named_type(words: str, variables: Mapping[str, object]) -> ValueType:
    """The type; `variables` are the notebook's. Raises UsageError."""
    try:
        tree = ast.parse(words.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _no_type(words) from None
    return ValueType.of(_found(tree, words, variables))


def _found(tree: ast.expr, words: str, variables: Mapping[str, object]) -> typing.Any:
    """What an expression of names, brackets, points and bars stands for."""

    def found(part: ast.expr) -> typing.Any:
        return _found(part, words, variables)

    match tree:
        case ast.Name(id=name):
            return _variable(name, words, variables)
        case ast.Constant(value=value):
            return value
        case ast.Tuple(elts=parts):
            return tuple(map(found, parts))
        case ast.Attribute(value=owner, attr=name):
            return _of(words, getattr, found(owner), name)
        case ast.Subscript(value=generic, slice=part):
            return _of(words, operator.getitem, found(generic), found(part))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _of(words, operator.or_, found(left), found(right))
    raise _no_type(words)


def _variable(name: str, words: str, variables: Mapping[str, object]) -> object:
    if name in variables:
        return variables[name]
    for owner in (builtins, typing):  # `Literal` needs no import
        if hasattr(owner, name):
            return getattr(owner, name)
    classes = [each for each, value in variables.items() if isinstance(value, type)]
    close = closest(name, classes)
    steps = [f"Did you mean {close}?"] if close else []
    if "[" in words:  # quotation marks on the line are taken away, as a shell does
        steps.append("Put a type with quotes in double quotes: `--type \"Literal['yes', 'no']\"`")
    elif not close:
        steps.append("For a type of your own, first run the cell that defines it.")
    raise UsageError(f"there is no type {name} for --type", next_steps=steps)


def _of(words: str, function: typing.Any, *parts: object) -> object:
    try:
        return function(*parts)
    except Exception as error:  # the notebook's own objects are asked
        raise UsageError(f"--type {words}: {error}") from None


def _no_type(words: str) -> UsageError:
    return UsageError(
        f"--type needs the name of a type, got {words!r}",
        next_steps=(
            "Write, for example, `--type int`, `--type list[str]`, or the name of your class.",
        ),
    )
