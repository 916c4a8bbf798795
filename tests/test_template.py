"""`{{name}}`: values go in, and nothing else happens."""

from types import SimpleNamespace

import pytest

from mm_magic.errors import UsageError
from mm_magic.template import braces_hint, fill


class Loud:
    """Says so if it is called, and fails when it is looked at too closely."""

    def __call__(self) -> str:
        raise AssertionError("called")

    @property
    def broken(self) -> str:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        return "Loud"


class Mute:
    """Has no text."""

    def __str__(self) -> str:
        raise ValueError("no text")


NAMES: dict[str, object] = {
    "name": "Ada",
    "xs": [10, 20, 30],
    "row": SimpleNamespace(title="Notes", tags=["a", "b"], by={"first name": "Ada", "1": "one"}),
    "table": {"a": {"b": "deep"}},
    "tricky": "{{name}} {{missing}} \\1 \\g<0>",
    "f": Loud(),
    "mute": Mute(),
    "größe": 3,
}


@pytest.mark.parametrize(
    ("prompt", "filled"),
    [
        ("Hi {{name}}!", "Hi Ada!"),
        ("{{name}}{{ name }}{{\tname}}", "AdaAdaAda"),
        ("{{xs[0]}} {{xs[-1]}} {{xs}}", "10 30 [10, 20, 30]"),
        ("{{row.title}} {{row.tags[1]}}", "Notes b"),
        ("{{row.by['first name']}} {{row.by[\"1\"]}}", "Ada one"),
        ("{{table['a']['b']}}", "deep"),
        ("{{f}}", "Loud"),
        ("{{größe}}", "3"),
        ("{{{name}}}", "{Ada}"),
    ],
)
def test_filled(prompt: str, filled: str) -> None:
    """Names, attributes and items are replaced by the text of their values."""
    assert fill(prompt, NAMES) == (filled, ())


def test_values_are_not_scanned_again() -> None:
    """Double braces and backslashes inside a value stay as they are."""
    assert fill("<{{tricky}}>", NAMES).prompt == f"<{NAMES['tricky']}>"


@pytest.mark.parametrize(
    "prompt",
    [
        r"\frac{a}{b} and \mathbf{{x}_{1}} and $\{x\}$",
        '{"a": {"b": [1, 2]}} {"a":{"b":{}}}',
        "{name} {} {{}} {{ }} {% if %} ${name} %name $name `name`",
        "{{f()}} {{1 + 1}} {{name.upper()}} {{xs[0:2]}} {{xs[i]}} {{name!r}} {{name:>9}} {{*xs}}",
        "{{name}",
        "😀" * 1000 + "\\" * 1000 + "{" * 1000,
    ],
)
def test_all_else_is_literal(prompt: str) -> None:
    """Other braces, code and mark-up are sent as they stand; nothing is evaluated or called."""
    assert fill(prompt, NAMES).prompt == prompt


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        ("{{missing}}", "{{missing}} can't be filled in: there is no variable 'missing'"),
        ("{{row.nope}}", "{{row.nope}} can't be filled in: .nope of 'row': AttributeError"),
        ("{{xs[7]}}", "{{xs[7]}} can't be filled in: [7] of 'xs': IndexError"),
        ("{{table['z']}}", "{{table['z']}} can't be filled in: ['z'] of 'table': KeyError"),
        ("{{f.broken}}", "{{f.broken}} can't be filled in: .broken of 'f': ZeroDivisionError"),
        ("{{mute}}", "{{mute}} can't be filled in: its text: ValueError"),
    ],
)
def test_what_is_missing_is_named(prompt: str, why: str) -> None:
    """A value that isn't there is an error that names it and offers `--literal`."""
    with pytest.raises(UsageError) as caught:
        fill(f"Tell me about {prompt}.", NAMES)
    assert str(caught.value) == why
    assert any("--literal" in step for step in caught.value.next_steps)


def test_single_braces_are_pointed_out() -> None:
    """`{name}` of an existing variable gets a hint; other single braces don't."""
    assert braces_hint("Hi {name}", NAMES) == (
        "{name} was sent as it stands; write {{name}} to put in its value."
    )
    assert braces_hint(r"\mathbf{x} {{name}} {other} {} {'name'}", NAMES) is None


@pytest.mark.parametrize("insert", ["{{len(name)}}", "{{name|upper}}", "{{name [0]}}"])
def test_double_braces_that_are_no_name_are_pointed_out(insert: str) -> None:
    """`{{…}}` with a variable in it, but more than a name, goes out with a hint."""
    hint = braces_hint(f"Hi {insert}", NAMES)

    assert hint is not None
    assert hint.startswith(f"{insert} was sent as it stands: only names")
    assert braces_hint("{{ 1 + 1 }} {{name}}", NAMES) is None
