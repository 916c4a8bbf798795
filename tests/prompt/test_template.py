"""`{{name}}`: values go in, and nothing else happens."""

import re
from collections import Counter
from types import SimpleNamespace

import pandas
import pytest
from support.inserts import CASES
from support.shells import fresh_shell

from mm_magic.errors import UsageError
from mm_magic.prompt.template import braces_hint, fill, inserts


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

    def shout(self) -> str:
        raise AssertionError("called")


class Unkeyed:
    """Has no item, and no list of them either; its text is Python's own."""

    def __getitem__(self, key: str) -> str:
        raise KeyError(key)

    def keys(self) -> list[str]:
        raise ZeroDivisionError


NAMES: dict[str, object] = {
    "name": "Ada",
    "xs": [10, 20, 30],
    "row": SimpleNamespace(title="Notes", tags=["a", "b"], by={"first name": "Ada", "1": "one"}),
    "table": {"a": {"b": "deep"}},
    "tricky": "{{name}} {{missing}} \\1 \\g<0>",
    "f": Loud(),
    "mute": Mute(),
    "größe": 3,
    "été": SimpleNamespace(début="June"),
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
        ("{{größe}} {{été.début}}", "3 June"),
        ("{{{name}}}", "{Ada}"),
    ],
)
def test_filled(prompt: str, filled: str) -> None:
    """Names, attributes and items are replaced by the text of their values."""
    assert fill(prompt, NAMES) == (filled, ())


@pytest.mark.parametrize(("text", "filled"), CASES)
def test_what_is_filled_in(text: str, filled: list[str]) -> None:
    """Names in any script, attributes, numbers and quoted keys; the editor marks the same."""
    assert [written for written, _, _ in inserts(text)] == filled
    if not filled:
        assert fill(text, {}).prompt == text


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
        (
            "{{row.nope}}",
            "{{row.nope}} can't be filled in: looking up .nope in 'row' raised AttributeError",
        ),
        ("{{xs[7]}}", "{{xs[7]}} can't be filled in: looking up [7] in 'xs' raised IndexError"),
        (
            "{{table['z']}}",
            "{{table['z']}} can't be filled in: looking up ['z'] in 'table' raised KeyError",
        ),
        (
            "{{row.tags[2]}}",
            "{{row.tags[2]}} can't be filled in: looking up [2] in 'row.tags' raised IndexError",
        ),
        (
            "{{f.broken}}",
            "{{f.broken}} can't be filled in: looking up .broken in 'f' raised ZeroDivisionError",
        ),
        ("{{mute}}", "{{mute}} can't be filled in: converting it to text raised ValueError"),
    ],
)
def test_what_is_missing_is_named(prompt: str, why: str) -> None:
    """A value that isn't there is an error that names it and offers `--literal`."""
    with pytest.raises(UsageError) as caught:
        fill(f"Tell me about {prompt}.", NAMES)
    assert str(caught.value) == why
    assert any("--literal" in step for step in caught.value.next_steps)


@pytest.mark.parametrize(
    ("prompt", "step"),
    [
        ("{{missing}}", "First run the cell that defines it, or correct the name."),
        ("{{xs[7]}}", "xs has 3 items: [0] to [2]."),
        ("{{row.tags[-3]}}", "row.tags has 2 items: [0] to [1]."),
        ("{{none[0]}}", "none has 0 items."),
        ("{{one[1]}}", "one has 1 item: [0]."),
        ("{{table['z']}}", "The keys of table: 'a'."),
        ("{{table['a'][0]}}", "The keys of table['a']: 'b'."),
        ("{{many[9]}}", f"The keys of many: 1, '{'x' * 38}…, 3, 4, 5 and more."),
        ("{{row.nope}}", "Display row in a cell of its own, then correct the part after row."),
        ("{{bad['z']}}", "Display bad in a cell of its own, then correct the part after bad."),
    ],
)
def test_what_is_there_is_named(prompt: str, step: str) -> None:
    """The error of an item that isn't there names a few keys, or how many items there are."""
    many = dict.fromkeys([1, "x" * 99, 3, 4, 5, 6])
    with pytest.raises(UsageError) as caught:
        fill(prompt, {**NAMES, "none": [], "one": [1], "many": many, "bad": Unkeyed()})
    assert caught.value.next_steps[0] == step


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        (
            "{{planet.moon}}",
            [
                "planet is a dict; try `{{planet['moons']}}`.",
                "The keys of planet: 'moons', 'core'.",
            ],
        ),
        (
            "{{planet['core'].temperatur}}",
            [
                "planet['core'] is a dict; try `{{planet['core']['temperature']}}`.",
                "The keys of planet['core']: 'temperature'.",
            ],
        ),
        ("{{planet.zzz}}", ["The keys of planet: 'moons', 'core'."]),
        ("{{counts.oak}}", ["counts is a dict; try `{{counts['oak']}}`."]),
        ("{{row['title']}}", ["Did you mean `{{row.title}}`?"]),
    ],
)
def test_key_for_attribute(written: str, steps: list[str]) -> None:
    """A key written as an attribute, or the other way round, is told as it has to be written."""
    core = {"temperature": 5200}
    planet = {"moons": 1, "core": core}
    with pytest.raises(UsageError) as caught:
        fill(written, {**NAMES, "planet": planet, "counts": Counter(["oak"])})
    assert list(caught.value.next_steps[: len(steps)]) == steps


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{{nmae}}", "{{name}}"),
        ("{{rwo.title}}", "{{row.title}}"),
        ("{{row.titel}}", "{{row.title}}"),
        ("{{row.by['frist name']}}", "{{row.by['first name']}}"),
        ("{{frame.ctiy}}", "{{frame.city}}"),
        ("{{frame['ctiy']}}", "{{frame['city']}}"),
        ("{{hidden}}", None),
        ("{{name.uper}}", None),
        ("{{odd['ab']}}", None),
        ("{{odd['dont']}}", '{{odd["don\'t"]}}'),
    ],
)
def test_mistyped_name(written: str, meant: str | None) -> None:
    """A name that is nearly right is guessed, with what stands around it; no method, no `_name`."""
    frame = pandas.DataFrame({"city": ["Oslo"]})
    names = {**NAMES, "_hidden": 1, "frame": frame, "odd": {"a\nb": 1, "don't": 2}}
    with pytest.raises(UsageError) as caught:
        fill(written, names)
    guesses = [step for step in caught.value.next_steps if step.startswith("Did you mean")]
    assert guesses == ([f"Did you mean `{meant}`?"] if meant else [])
    if meant:
        fill(meant, names)


@pytest.mark.parametrize(
    ("name", "what", "step"),
    [
        ("text.upper", "a method", "with `value = text.upper()`, and write {{value}}"),
        ("mute.shout", "a method", "with `value = mute.shout()`"),
        ("function", "a function", "source = inspect.getsource(function)"),
        ("len", "a built-in function", "Turn it into text"),
        ("Mute", "a class", "Turn it into text"),
        ("re", "a module", "Turn it into text"),
        ("plain", "an object with no text form (Unkeyed)", "Turn it into text"),
        ("steps", "an iterator (list_iterator)", "`value = list(steps)`"),
    ],
)
def test_what_has_no_text(name: str, what: str, step: str) -> None:
    """A method, function, class, module or bare object is an error that tells the way out."""
    names = {
        "text": "Ada",
        "mute": Mute(),
        "function": test_what_has_no_text,
        "len": len,
        "Mute": Mute,
        "re": re,
        "plain": Unkeyed(),
        "steps": iter([step]),
    }
    with pytest.raises(UsageError) as caught:
        fill(f"Tell me about {{{{{name}}}}}.", names)
    assert (
        caught.value.message == f"{{{{{name}}}}} is {what}, but only text and pictures can be sent"
    )
    assert step in caught.value.next_steps[0]
    assert "--literal" in caught.value.next_steps[1]


def test_text_about_an_object_is_text() -> None:
    """A string that looks like a bare object's text goes in as it stands."""
    assert fill("{{log}}", {"log": "<Foo object at 0x7f00>"}).prompt == "<Foo object at 0x7f00>"


def test_single_braces_are_pointed_out() -> None:
    """`{name}` of an existing variable gets a hint; other single braces don't."""
    assert braces_hint("Hi {name}", NAMES) == (
        "{name} was sent as written; write {{name}} to send its value."
    )
    assert braces_hint(r"\mathbf{x} {{name}} {other} {} {'name'}", NAMES) is None


@pytest.mark.parametrize(
    "insert",
    ["{{name.upper()}}", "{{ len(xs) }}", "{{1+1}}", "{{x[0:2]}}", "{{name [0]}}", '{{"a": 1}}'],
)
def test_double_braces_that_are_no_name_are_pointed_out(insert: str) -> None:
    """`{{…}}` that is more than a name goes out with a hint at what is possible."""
    hint = braces_hint(f"Hi {insert} {{{{name}}}}", NAMES)

    assert hint == (
        f"{insert} was sent as written: only a name, an attribute or an index is filled in, such "
        "as {{name}}, {{row.title}} or {{xs[0]}}. "
        "Compute the value in a cell above and use the variable's name. To send braces as "
        "written without this note, add --literal."
    )


def test_several_double_braces_give_one_hint() -> None:
    """The hint shows the first of several, shortened, and counts the others."""
    long = "+".join("1" * 50)
    hint = braces_hint(f"{{{{{long}}}}} {{{{f()}}}} {{{{f()}}}} {{{{g()}}}}", NAMES)

    assert hint is not None
    assert hint.startswith(f"{{{{{long[:37]}… and 2 more were sent as written: only")


@pytest.mark.parametrize("prompt", ["{{name}} {{ xs[0] }}", "{{}} {{ }} {{…}}", "{{{name}}}"])
def test_no_hint_at_names_and_empty_braces(prompt: str) -> None:
    """What is filled in, and braces that hold no word, get no hint."""
    assert braces_hint(prompt, NAMES) is None


def test_each_hint_comes_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A second slip in braces is told as the first was, and the same one is not told again."""
    told = []
    with fresh_shell() as shell:
        for prompt in ("{{1+1}}", "{{1+1}}", "{{len(x)}}"):
            shell.run(f"%%minimax --alone --thinking disabled --max-tokens 5\n{prompt}")
            told.append("was sent as written" in capsys.readouterr().out)
    assert told == [True, False, True]
