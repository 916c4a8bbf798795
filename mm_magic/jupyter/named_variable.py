"""The notebook's variable that an option names."""

from collections.abc import Callable, Mapping
from typing import Any

from mm_magic.errors import UsageError
from mm_magic.wording import closest


def named_variable(
    name: str,
    variables: Mapping[str, object],
    option: str,
    what: str = "variable",
    is_meant: Callable[[object], bool] = lambda _: True,
) -> Any:
    """What has this name, whatever it is. Raises UsageError if nothing has.

    The error calls it `what`, and guesses a name among those whose values may be meant.
    """
    if name in variables:
        return variables[name]
    names = [each for each, value in variables.items() if is_meant(value)]
    near = closest(name, [each for each in names if not each.startswith("_")])
    guess = f" Did you mean {near}?" if near else ""
    raise UsageError(
        f"there is no {what} {name!r} for {option}",
        next_steps=(f"First run the cell that defines it, or correct the name.{guess}",),
    )
