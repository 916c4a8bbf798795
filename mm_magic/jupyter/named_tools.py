"""The functions that `--tools` names."""

from collections.abc import Mapping

from mm_magic.jupyter.named_variable import named_variable
from mm_magic.session.tools.tool import Tool, tools_of


def named_tools(names: tuple[str, ...], variables: Mapping[str, object]) -> tuple[Tool, ...]:
    """The functions with these names; `variables` are the notebook's. Raises UsageError."""
    return tools_of(
        [named_variable(name, variables, "--tools", "function", callable) for name in names]
    )
