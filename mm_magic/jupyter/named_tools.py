"""The functions that `--tools` names, and what does not go with them on one line."""

from collections.abc import Mapping

from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import Arguments
from mm_magic.jupyter.named_variable import named_variable
from mm_magic.session.options import BY_NAME
from mm_magic.session.tools.tool import Tool, tools_of
from mm_magic.wording import quoted


def named_tools(names: tuple[str, ...], variables: Mapping[str, object]) -> tuple[Tool, ...]:
    """The functions with these names; `variables` are the notebook's. Raises UsageError."""
    return tools_of(
        [named_variable(name, variables, "--tools", "function", callable) for name in names]
    )


def check_tools(arguments: Arguments) -> None:
    """Raise UsageError for what does not go with `--tools`, with the line that works."""
    if not arguments.tools:
        if arguments.confirm:
            raise UsageError(
                "--confirm asks before a function is called, but no function is named",
                next_steps=("Name one: `%%minimax --tools f --confirm`",),
            )
        return
    tools = f"--tools {','.join(arguments.tools)}"
    if arguments.rows:
        raise UsageError(
            "--rows asks once per row, so it can't be used with --tools",
            next_steps=(f"Without functions: `%%minimax --rows {arguments.rows}`",),
        )
    if arguments.type:
        raise UsageError(
            "--type reads the answer as a value, so it can't be used with --tools",
            next_steps=(
                f"Ask first: `%%minimax {tools}`",
                f"Then, in the next cell: `%%minimax --type {quoted(arguments.type)}`",
            ),
        )
    _check_single(arguments, tools)


def _check_single(arguments: Arguments, tools: str) -> None:
    """Raise UsageError where several answers are asked for: each would call the functions."""
    several = [
        *(BY_NAME[name].flags[0] for name in arguments.varying),
        *[f"-n {arguments.n}"] * (arguments.n > 1),
        *["--without"] * bool(arguments.without),
    ]
    if not several:
        return
    first = [BY_NAME[name].on_line(values[0]) for name, values in arguments.varying.items()]
    line = " ".join([*filter(None, first), tools])
    raise UsageError(
        f"--tools works with one answer, so it can't be used with {' and '.join(several)}",
        next_steps=(f"With one answer: `%%minimax {line}`",),
    )
