"""The line behind `%%minimax`: how it is split, what it means, and what a slip is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.asks import said

from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import (
    CELL_ROWS,
    OF_ONE_CELL,
    Arguments,
    flags_of,
    help_text,
    parse,
    words_of,
)
from mm_magic.jupyter.mistakes import check_one_cell, stray_words
from mm_magic.jupyter.refused_together import check_together
from mm_magic.session.options import COUNT, NUMBER, SWITCH, TEXT, TEXT_OR_FILE, Options, Row
from mm_magic.session.variants import Variant, variants
from mm_magic.wording import not_a_file, option, quoted


def told(error: UsageError) -> str:
    return "\n".join([error.message, *error.next_steps])


def test_empty_line_leaves_every_default() -> None:
    """An empty line says nothing, so that all defaults hold."""
    defaults = Options(temperature=0.7, system="Be brief", hide_thinking=True)

    assert parse("") == Arguments()
    assert parse("").options(defaults) == defaults


def test_all_options() -> None:
    """Each option of the line overrides its default."""
    line = (
        "-m MiniMax-M2.5 -t 0.3 --max-tokens 99 --top-p 0.5 -s Brief --thinking disabled "
        "--hide-thinking --no-stream -c side --alone -o reply --literal --dry-run"
    )

    arguments = parse(line)

    assert arguments.options(Options()) == said(
        model="MiniMax-M2.5",
        temperature=0.3,
        max_tokens=99,
        top_p=0.5,
        system="Brief",
        thinking="disabled",
        hide_thinking=True,
        stream=False,
        conversation="side",
    )
    assert (arguments.alone, arguments.to) == (True, "reply")
    assert (arguments.literal, arguments.dry_run) == (True, True)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--max_tokens 5", Arguments(given={"max_tokens": 5})),
        ("--max_tokens=5", Arguments(given={"max_tokens": 5})),
        ("--top_p 0.5 --hide_thinking", Arguments(given={"top_p": 0.5, "hide_thinking": True})),
        ("--system=under_score", Arguments(given={"system": "under_score"})),
        ("--stream", Arguments(given={"stream": True})),
        ("-t default", Arguments(given={"temperature": None})),
        ("--max-tokens default", Arguments(given={"max_tokens": None})),
        ("--no_stream", Arguments(given={"stream": False})),
        ("-t.5", Arguments(given={"temperature": 0.5})),
        ("-mName", Arguments(given={"model": "Name"})),
        ("models", Arguments(words=("models",))),
        ("request 2 -t 0.5", Arguments(("request", "2"), {"temperature": 0.5})),
    ],
)
def test_spelling(line: str, expected: Arguments) -> None:
    """`_` may stand for `-` inside an option's name, and `=` between name and value."""
    assert parse(line) == expected


@pytest.mark.parametrize(
    ("line", "system"),
    [
        ('-s "Be brief"', "Be brief"),
        ("-s 'Be brief'", "Be brief"),
        ('-s "You\'re brief"', "You're brief"),
        (r"-s C:\Users\ann\new", r"C:\Users\ann\new"),
        (r'-s "C:\Program Files\x"', r"C:\Program Files\x"),
        (r'-s "\\server\share\"', "\\\\server\\share\\"),
        ("-s $HOME", "$HOME"),
        ('-s "{1 + 1} # $x"', "{1 + 1} # $x"),
        ('-s ""', ""),
        ("-s «Привет»", "«Привет»"),
    ],
)
def test_values_are_split_as_a_shell_does_but_for_backslashes(line: str, system: str) -> None:
    """Quotes group and go; a backslash is a letter, so that Windows paths survive."""
    assert parse(line).given == {"system": system}


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Users\ann\new.jsonl", r"C:\Program Files\it's\x.jsonl", r"\\server\share\a b.jsonl",
        r"..\lessons\t.jsonl", r"D:x.jsonl", "C:\\dir\\", r"\\?\C:\long\x.jsonl", r"~\x.jsonl",
    ],
)  # fmt: skip
def test_paths_of_windows(path: str) -> None:
    """A line that is proposed with such a path is read as that path."""
    word = quoted(path)
    assert word is not None
    assert words_of(f"replay {word} --fill") == ["replay", path, "--fill"]
    assert parse(option("-s", "--system", f"@@{path}") or "").given == {"system": f"@{path}"}


@given(st.text(st.characters(exclude_characters='"', exclude_categories=["Cs"])))
def test_any_text_in_double_quotes_is_one_value(text: str) -> None:
    """Whatever stands between double quotes reaches the option unchanged, but for a first `@`."""
    assert parse(f'--system="{not_a_file(text)}"').given == {"system": text}


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("-s You're", '`%%minimax -s "You\'re"`'),
        ("-s You're brief", '`%%minimax -s "You\'re brief"`'),
        ("-t 0.3 -s You're brief -o x", '`%%minimax -t 0.3 -s "You\'re brief" -o x`'),
        ("-o it's", "Put text with an apostrophe in double quotes."),
        ('-s "Be brief', 'Put the closing " where the text ends.'),
        ("-s \"You're brief -t 0.3", 'Put the closing " where the text ends.'),
        ('-o "my reply', 'Put the closing " where the text ends.'),
    ],
)
def test_open_quote_is_told_with_the_right_line(line: str, hint: str) -> None:
    """An apostrophe that opens a quote gets the line with the text in double quotes."""
    with pytest.raises(UsageError, match="a quote is opened but not closed") as caught:
        parse(line)

    assert hint in told(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--tempreature 0.3", "Did you mean --temperature?"),
        ("-T 0.3", "Did you mean -t?"),
        ("-t warm", "temperature must be a number such as 0.3, got 'warm'"),
        ("--max-tokens many", "max_tokens must be a whole number, got 'many'"),
        ("--thinking maybe", "thinking must be auto, adaptive or disabled, got 'maybe'"),
        ("-m", "--model needs a value"),
        ("--temp 0.3", "--temp"),
        ("-o 1x", "-o needs a variable name, got '1x'"),
        ("-o a.b", "-o needs a variable name, got 'a.b'"),
        ("-o class", "-o needs a variable name, got 'class'"),
    ],
)
def test_wrong_options_are_named(line: str, words: str) -> None:
    """A wrong option or value raises UsageError that names it, and never ends the process."""
    with pytest.raises(UsageError) as caught:
        parse(line)

    assert words in told(caught.value)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("# a question", "Write: `%%minimax`"),
        ("-t 0.3 # cold", "Write: `%%minimax -t 0.3`"),
        ("-t 0.3 #cold", "Write: `%%minimax -t 0.3`"),
    ],
)
def test_comment_behind_the_magic(line: str, hint: str) -> None:
    """A comment behind the magic is told as such, with the line that is right."""
    with pytest.raises(UsageError, match="a comment can't follow") as caught:
        raise stray_words(parse(line).words, line, ())

    assert hint in told(caught.value)


def test_prompt_on_the_magic_line() -> None:
    """A prompt on the line of the magic is told where it goes."""
    with pytest.raises(UsageError, match=r"'Why is it\?' is not an option") as caught:
        raise stray_words(parse("Why is it?").words, "Why is it?", ())

    assert "The prompt goes on the lines below `%%minimax`." in told(caught.value)


@pytest.mark.parametrize("body", ["a\n%%minimax\nb", "%%minimax -t 1\nb", "a\n%%minimax"])
def test_second_magic_in_a_cell(body: str) -> None:
    """A second `%%minimax` at the beginning of a line is taken for a second cell."""
    with pytest.raises(UsageError, match="there is a second %%minimax in this cell") as caught:
        check_one_cell(body)

    assert "--literal" in told(caught.value)


@pytest.mark.parametrize("body", ["what does %%minimax do?", "%%minimaxed", " `%%minimax`"])
def test_magic_inside_a_line_is_text(body: str) -> None:
    """The name of the magic inside a line is text like any other."""
    check_one_cell(body)


def test_help_has_every_option() -> None:
    """The help lists each option with a line of its own."""
    for flag in flags_of(CELL_ROWS):
        assert flag in help_text()


def test_unsetting_an_option() -> None:
    """`default` on the line takes a value back, and then the notebook has not said it."""
    cold = said(temperature=0.3)

    assert parse("-t default").options(cold) == Options()
    assert "temperature" not in parse("-t default").options(cold).parameters()


EXAMPLES = {TEXT: "x", TEXT_OR_FILE: "x", NUMBER: "0.5", COUNT: "5"}


@pytest.mark.parametrize("row", CELL_ROWS, ids=lambda row: row.name)
def test_every_option_is_read(row: Row) -> None:
    """Each name of each row is an option of the line, and its value arrives under its name."""
    for flag in row.flags:
        word = () if row.kind is SWITCH else (row.words[0] if row.words else EXAMPLES[row.kind],)
        arguments = parse(" ".join([flag, *word]))
        found = {**vars_of(arguments), **arguments.given}
        value = row.read(*word) if word else not flag.startswith("--no-")
        assert found[row.name] == (value if row.default != () else (value,))


def vars_of(arguments: Arguments) -> dict[str, object]:
    return {row.name: getattr(arguments, row.name) for row in OF_ONE_CELL}


@pytest.mark.parametrize(
    "row", [row for row in CELL_ROWS if row.may_be_unset], ids=lambda row: row.name
)
def test_every_option_that_may_be_unset(row: Row) -> None:
    """`default` unsets each option that may be unset; its text reads back as that."""
    assert parse(f"{row.flags[0]} default").given == {row.name: None}
    assert row.read(row.text(None)) is None


def test_variable_may_be_called_default() -> None:
    """`-o default` is a variable's name: only an option that may be unset has that word."""
    assert parse("-o default").to == "default"
    assert parse("-m default").given == {"model": "default"}


LISTED = ["org/a,b", "qwen3"]


@pytest.mark.parametrize(
    ("line", "varying"),
    [
        ("-t 0.1,0.5,1", {"temperature": (0.1, 0.5, 1.0)}),
        ("-t 0.1, 0.5, 1", {"temperature": (0.1, 0.5, 1.0)}),
        ("-t 0.1 , 0.5 ,1", {"temperature": (0.1, 0.5, 1.0)}),
        ('-t "0.1, 0.5"', {"temperature": (0.1, 0.5)}),
        ("-t0.1,0.5", {"temperature": (0.1, 0.5)}),
        ("--temperature=0.1, 0.5 --alone", {"temperature": (0.1, 0.5)}),
        ("-t 0.1 -t 0.5", {"temperature": (0.1, 0.5)}),
        ("-t 0.1,0.5 -t 1", {"temperature": (0.1, 0.5, 1.0)}),
        ("-t default,0.5", {"temperature": (None, 0.5)}),
        ("--top_p 0.5,0.9", {"top_p": (0.5, 0.9)}),
        ("--max-tokens 100,200", {"max_tokens": (100, 200)}),
        ("--thinking adaptive, disabled", {"thinking": ("adaptive", "disabled")}),
        ("--effort low,high", {"effort": ("low", "high")}),
        ('-s "Be brief, please" -s "Be kind"', {"system": ("Be brief, please", "Be kind")}),
        ("-m MiniMax-M3 -m other", {"model": ("MiniMax-M3", "other")}),
        ("-m MiniMax-M3,MiniMax-M2.5", {"model": ("MiniMax-M3", "MiniMax-M2.5")}),
        ("-m MiniMax-M3, qwen3", {"model": ("MiniMax-M3", "qwen3")}),
        ("-m org/a,b", {}),
        ("-m org/a,b,qwen3", {}),
        ("-m unknown,MiniMax-M3", {}),
        ("-t 0.5", {}),
    ],
)
def test_lists(line: str, varying: dict[str, object]) -> None:
    """An option that varies takes several values: with commas, also with spaces, or again."""
    arguments = parse(line, LISTED)

    assert arguments.varying == varying
    assert arguments.words == ()


def _variants(line: str) -> list[Variant]:
    """What a cell with this line asks for, but for what it leaves out."""
    found = parse(line)
    return list(variants(found.options(Options()), found.varying, found.n))


def test_product_in_the_order_of_the_line() -> None:
    """The answers are the product of all lists in the order of the line, samples innermost."""
    line = "-n 2 -s A -t 0.1 -m MiniMax-M3 -m qwen3 -t 1"

    labels = [each.label for each in _variants(line)]

    assert labels == [
        "-t 0.1 · -m MiniMax-M3 · 1 of 2",
        "-t 0.1 · -m MiniMax-M3 · 2 of 2",
        "-t 0.1 · -m qwen3 · 1 of 2",
        "-t 0.1 · -m qwen3 · 2 of 2",
        "-t 1 · -m MiniMax-M3 · 1 of 2",
        "-t 1 · -m MiniMax-M3 · 2 of 2",
        "-t 1 · -m qwen3 · 1 of 2",
        "-t 1 · -m qwen3 · 2 of 2",
    ]
    assert parse(line).answers == 8
    options = _variants(line)[3].options
    assert options == said(temperature=0.1, model="qwen3", system="A")


def test_nothing_varies() -> None:
    """Without a list and with `-n 1` there is one variant: the options as they are."""
    (variant,) = _variants("-t 0.3 -n 1")

    assert (variant.options, variant.label) == (said(temperature=0.3), "")


def test_long_system_prompts_have_short_labels() -> None:
    """A label shows the beginning of a long text, on one line."""
    label = _variants(f'-s "{"word " * 50}" -s ""')[0].label

    assert label == '-s "word word word word word word word word…"'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-t 0.5, 3 lakes", "temperature must be a number such as 0.3, got '0.5,'"),
        ("-t 0.5,", "temperature must be a number such as 0.3, got '0.5,'"),
        ("-t 0.1,,0.5", "temperature must be a number such as 0.3, got '0.1,,0.5'"),
        ("-t 0.1,2", "temperature must be above 0 and at most 1, got 2.0"),
        ("-t 0,5", "write 0.5 with a decimal point"),
        ("--top-p 0,95", "write 0.95 with a decimal point"),
        ("--max-tokens 2,048", "write 2048 without a comma"),
        ("--max-tokens 16,000", "write 16000 without a comma"),
        ("-t 0.5,0.50", "temperature has the value '0.5' twice"),
        ("-s A -s A", "`-n 2` asks for two answers to the same request"),
        ("--effort low,huge", "got 'huge'"),
        ("-c a -c b", "-c is on the line twice, with 'a' and 'b'"),
        ("-o a --to b", "--to is on the line twice"),
        ("-n 2 -n 3", "-n is on the line twice"),
        ("-n 0", "-n must be a whole number of 1 or more, got 0"),
        ("-n 2,3", "n must be a whole number, got '2,3'"),
    ],
)
def test_lists_that_are_none(line: str, words: str) -> None:
    """A slip in a list is told with what to write; nothing that is no value joins a list."""
    with pytest.raises(UsageError) as caught:
        parse(line)

    assert words in told(caught.value)


def test_functions_that_are_named_twice() -> None:
    """Functions go with one answer, so that `-n 2` is no way out."""
    with pytest.raises(UsageError) as caught:
        parse("--tools f,g,f")

    assert caught.value.next_steps == ("Write it once.",)


def test_a_stray_word_behind_a_list() -> None:
    """Only values join a list: what stands behind it is a stray word, as behind one value."""
    assert parse("-t 0.5, 1 lakes").words == ("lakes",)
    assert parse("-m MiniMax-M3, MiniMax-M2.5 lakes").words == ("lakes",)


@given(st.lists(st.floats(0.01, 1), min_size=2, unique=True), st.sampled_from([",", ", ", " , "]))
def test_any_list_of_numbers(numbers: list[float], comma: str) -> None:
    """A list of numbers is read as those numbers, however its commas are spaced."""
    assert parse(f"-t {comma.join(map(str, numbers))}").varying == {"temperature": tuple(numbers)}


@pytest.mark.parametrize(
    ("line", "words", "step"),
    [
        (
            "--tools f -t 0.1,0.5 -n 2",
            "--tools works with only one answer, so -t can have only one value",
            "With one answer: `%%minimax -t 0.1 --tools f`",
        ),
        (
            "--tools f -m A -m B -t 0.1,0.5",
            "so -m and -t can each have only one value",
            "With one answer: `%%minimax -m A -t 0.1 --tools f`",
        ),
        (
            "--tools f -n 2 --without 1",
            "--tools works with only one answer, so it can't be used with -n 2 and --without",
            "With one answer: `%%minimax --tools f`",
        ),
        (
            "--rows t -t 0.1,0.5 --top-p 0.2,0.5",
            "--rows asks once per row, so -t and --top-p can each have only one value",
            "With one value each: `%%minimax -t 0.1 --top-p 0.2 --rows t`",
        ),
    ],
)
def test_several_values_where_one_is_meant(line: str, words: str, step: str) -> None:
    """The options are named that have several, and the step is the line with one of each."""
    with pytest.raises(UsageError) as caught:
        check_together(parse(line))

    assert words in caught.value.message
    assert caught.value.next_steps[0] == step
    check_together(parse(step.split("%%minimax ")[1].strip("`")))
