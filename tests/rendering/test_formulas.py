"""Which parts of an answer are formulas, and what MathJax gets of them."""

import re
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import hostile
from support.timing import calls_of
from test_markdown import Elements, draw, math

from mm_magic.rendering.blocks import Blocks
from mm_magic.rendering.markdown import fragment, to_html


def structure(html: str) -> list[str]:
    """The elements in their order, without those around formulas."""
    return [tag for tag, _ in Elements(html).tags if tag.strip("/") != "span"]


def typeset(text: str) -> str:
    """The one formula of a text as MathJax gets it."""
    [formula] = math(text)
    return formula


@pytest.mark.parametrize(
    "text",
    [
        "| Plan | Monthly ($) | Yearly ($) |\n|---|---|---|\n| A | 1 | 10 |\n",
        "| a $ | b $|\n|---|---|\n| $5 | $6 |\n| (5$) | ($6) |\n",
        "| \\(a | b\\) |\n|---|---|\n| $$a | b$$ |\n",
        "> | ($) | ($) |\n> |---|---|\n> | $1 | $2 |",
        "- a ($)\n- b ($)",
        "1. pay $a\n2. and b$",
        "- \\(a\n- b\\)",
        "- $$ a\n- b $$",
        "- $$\n- a\n- $$",
        "- \\[\n  a\n- b\n  \\]",
        "  - \\begin{align}\n    a\n  - b\n    \\end{align}",
        "# Costs ($a\nin dollars b$)",
        "Costs $a\n---\nb$ more",
        "> a $b\n> c$ d",
        "> \\(a\n> b\\)",
        "> $$\n> a\n\n$$",
        "costs $$ a lot\n\nor $$ more",
        "$$ is the shell's number:\n- echo $$",
        "$$\n\n# A heading\n\n$$",
        "$$\na\n```\nb\n```\n$$",
        "\\begin{align}\n\n## A heading\n\n\\end{align}",
    ],
)
def test_no_formula_crosses_a_border(text: str) -> None:
    """What stands in two cells, items, headings, quoted lines or paragraphs is no formula."""
    assert math(text) == []
    neutral = re.sub(r"\$|\\[][()]|\\(begin|end)\{align\}", "€", text)
    assert structure(fragment(text)) == structure(fragment(neutral))


BITS = ["$", "($)", "$5", "6$", "$x$", "and", "US$", "$/kg", "\\(", "y\\)"]
STARTS = ["", "- ", "> ", "# ", "1. ", "  - ", "  ", "\n"]
line_of_text = st.builds(
    lambda start, bits: f"{start}{' '.join(['so', *bits])}\n",
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(BITS), max_size=4),
)
row = st.lists(st.sampled_from(BITS), min_size=3, max_size=3).map(
    lambda r: f"| {' | '.join(r)} |\n"
)
table = st.lists(row, min_size=2).map(
    lambda rows: f"\n{rows[0]}|---|---|---|\n{''.join(rows[1:])}\n"
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(line_of_text, table), max_size=8).map("".join))
def test_dollars_do_not_change_the_structure(text: str) -> None:
    """Whatever dollars and brackets of formulas are in a text, it has the same elements."""
    neutral = re.sub(r"\$|\\[()]", "€", text)
    assert structure(fragment(text)) == structure(fragment(neutral))


@pytest.mark.parametrize(
    "text",
    [
        "$5 and $10, $5-$10, $5/$10 or **$5**/**$10**",
        "US$20, A$30 and 5$ or 10$",
        "a$b$c, $n$th and x$y$",
        'Price ($) and cost ($), [$] or [$], "$" or "$", “$” and “$”',
        "价格（$），成本（$）",
        "**$** and **$**",
        "($/kg), ($/lb) and (€/$), (£/$)",
        "$, € and £ or 5 €/$, 6 €/$.",
        "${HOME}/${USER} and ${a}_${b}",
        "US$$5 and a $$x$$b",
        "costs $5 ($6 with tax)",
        "$20-$30 each, or US$ 99",
        "It is $30, or US$ 99, or $20 (NZ$ 30), or $AAPL at A$\u00a09.",
        "from $5 to 10$, $5—or 6$, $5.50 und 7,25 CHF$",
    ],
)
def test_a_dollar_in_prose_is_a_dollar(text: str) -> None:
    """A dollar next to a letter or digit on its outer side, or by itself, opens no formula."""
    assert math(text) == []


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("the $n$th of $m$", ["$m$"]),
        ("设$x$为实数，$y$是整数。정수 $k$는", ["$x$", "$y$", "$k$"]),
        (
            "($x$), [$y$], “$z$”, **$a$** and *$b$*: $c$-axis",
            ["$x$", "$y$", "$z$", "$a$", "$b$", "$c$"],
        ),
        ("$17 mod 5$ is $2$", ["$17 mod 5$", "$2$"]),
        ("$5 kg$ or $A$ 5, $2 \\cdot A$ 3", ["$5 kg$", "$A$", "$2 \\cdot A$"]),
        ("on $[0,1)$ and ($]0,1]$)", ["$[0,1)$", "$]0,1]$"]),
        (r"$a \text{ if $b$ is } c$", [r"$a \text{ if $b$ is } c$"]),
        ("| a | b |\n|---|---|\n| $|x|$ | $P(A | B)$ |", ["$|x|$", "$P(A | B)$"]),
        ("| ($) | ($) |\n|---|---|\n| $|x|$ | ($) |", ["$|x|$"]),
        ("> | a |\n> |---|\n> | $|x|$ |", ["$|x|$"]),
        ("- | a |\n  |---|\n  | $|x|$ |", ["$|x|$"]),
        (r"| $\|x\|$ |" + "\n|---|\n| \\(a|b\\) |", [r"$\|x\|$", r"\(a|b\)"]),
        ("text $a\n= b$ more", ["$a\n= b$"]),
        ("$$ a\n= c $$.", ["$$ a\n= c $$"]),
        ("\\[ a\n- b \\]", ["\\[ a\n- b \\]"]),
        ("$$\na\n> b\n$$", ["$$\na\n> b\n$$"]),
        ("> $$\n> a\n> > b\n> $$", ["$$\na\n> b\n$$"]),
        ("- $$\n  a\n\n  b\n  $$", ["$$\n  a\n\n  b\n  $$"]),
        (r"\( a \( b \)", [r"\( b \)"]),
    ],
)
def test_what_is_a_formula_stays_one(text: str, formulas: list[str]) -> None:
    """Formulas close to brackets and scripts without spaces, with pipes or over lines are set."""
    assert math(text) == formulas


def environment(name: str, body: str = "a &= b \\\\\n&= c_1 *d*") -> str:
    return f"\\begin{{{name}}}\n{body}\n\\end{{{name}}}"


@pytest.mark.parametrize(
    "formula",
    [
        *map(environment, ("align", "align*", "gather", "eqnarray*", "pmatrix", "cases", "dcases")),
        environment("equation", environment("split")),
        environment("alignat*", "{2} a &= b"),
        environment("array", "{l|r} a & b \\\\ \\hline c & d"),
        environment("align", "a\n- b\n+ c\n> d\n1. e"),
        environment("align", "a \\\\\n\n&= b"),
        "\\begin{align} a &= b \\\\[2pt] c &= d \\end{align}",
    ],
)
@pytest.mark.parametrize("around", ["{}", "Then\n{}\nDone.", "Then\n\n{}\n\n# Done"])
def test_an_environment_is_a_formula(formula: str, around: str) -> None:
    """LaTeX's environments need no dollars, and keep their line breaks."""
    assert math(around.format(formula)) == [formula]


def test_an_environment_may_be_in_an_item_a_quote_and_a_line() -> None:
    """An environment is set where it is, too."""
    formula = environment("align")
    lines = formula.split("\n")
    assert typeset("> " + "\n> ".join(lines)) == formula
    assert typeset("- " + "\n  ".join(lines)) == "\n  ".join(lines)
    assert typeset(r"so \begin{cases} a \\ b \end{cases} is") == r"\begin{cases} a \\ b \end{cases}"
    assert math("`\\begin{align}`, `\\end{align}`\n\n```\n" + formula + "\n```") == []


def test_an_environment_in_its_like_is_whole() -> None:
    """MathJax would end an environment where an inner one of its name ends, but not in dollars."""
    formula = environment("pmatrix", f"{environment('pmatrix', 'a')} & b")
    assert typeset(formula) == f"$${formula}$$"


@pytest.mark.parametrize(
    "text",
    [
        "\\begin{align}\na &= b\n\nand *so* on",
        "a\n\\end{align}\n\\begin{align}",
        "\\begin{align} a \\end{align*}",
        environment("itemize", "\\item a"),
        environment("document", "a"),
        environment("align", "\\href{https://a.invalid}{x}"),
        environment("align", ""),
    ],
)
def test_what_is_no_formula_of_its_own_stays_text(text: str) -> None:
    """An environment without an end, of text, empty, or with a link, is shown as written."""
    assert math(text) == []


@pytest.mark.parametrize(
    ("formula", "due"),
    [
        (r"$E = mc^2\label{eq:1}$", r"$E = mc^2$"),
        (r"\[a \label {x_1}\]", r"\[a \]"),
        (r"$\require{cancel}\cancel{x}$", r"$\cancel{x}$"),
        (r"$a \eqref{eq:1}, \ref{b}$", r"$a \text{(eq:1)}, \text{b}$"),
        (r"$\ref{a_b}$", r"$\text{a\(\_\)b}$"),
        (r"$a \\label{b}$", r"$a \\label{b}$"),
        (r"$\labelled$", r"$\labelled$"),
        (r"$\alpha\label{x}b$", r"$\alpha b$"),
    ],
)
def test_a_formula_holds_for_itself(formula: str, due: str) -> None:
    """Labels and loaded code are left out, and references are text: no formula needs another."""
    assert typeset(formula) == due


def test_a_label_in_each_line_is_left_out() -> None:
    """Each line of an environment loses its label and keeps its number."""
    formula = environment("align", "a \\label{a} \\tag{1} \\\\\nb \\label{b}")
    assert typeset(formula) == environment("align", "a  \\tag{1} \\\\\nb ")


@pytest.mark.parametrize(
    "inner",
    [
        r"\label{x}",
        r"\require{a}",
        r"a\label b",
        r"\hr\label{x}ef{y}{z}\href{y}{z}",
        r"\re\require{x}{quire}{\require a}",
        r"a\label{b{c}}",
        r"\ref b",
    ],
)
def test_a_formula_that_can_not_stand_by_itself_is_text(inner: str) -> None:
    """Nothing but a label is no formula, and a label that can't be found whole is not set."""
    assert math(f"${inner}$") == []


@pytest.mark.parametrize(
    ("inner", "due"),
    [
        (r"\text{a_b}", r"\text{a\(\_\)b}"),
        (r"x_\mathrm{a} \textbf{b_c}_d", r"x_\mathrm{a} \textbf{b\(\_\)c}_d"),
        (r"\text{R&D, 5% of #1, x^2}", r"\text{R\(\&\)D, 5\(\%\) of \(\#\)1, x\(\unicode{x5E}\)2}"),
        (r"\text{a {b_c} \textit{d_e}}_f", r"\text{a {b\(\_\)c} \textit{d\(\_\)e}}_f"),
        (r"\text{a\_b \(c_d\) $e_f$ g_h}", r"\text{a\_b \(c_d\) $e_f$ g\(\_\)h}"),
        (r"a \tag{x_1}", r"a \tag{x\(\_\)1}"),
        (r"\text {a_b} \mbox{c_d}", r"\text {a\(\_\)b} \mbox{c\(\_\)d}"),
        (r"\text a_b", r"\text a_b"),
        (r"\text{a_b", r"\text{a\(\_\)b"),
        (r"a_b \\text{c}", r"a_b \\text{c}"),
    ],
)
def test_text_in_a_formula_is_text(inner: str, due: str) -> None:
    """Characters that are special in math alone stand for themselves in text within a formula."""
    assert typeset(f"$${inner}$$") == f"$${due}$$"


KINDS = ("K2", "K5", "K7")


def test_answers_that_models_gave_look_right() -> None:
    """Each answer has what it should have, and nothing that it should not."""
    for case in hostile.load("real-world/answers.json"):
        if case["kind"] in KINDS:
            html = to_html(case["text"])
            assert all(re.search(pattern, html) for pattern in case.get("has", ())), case["id"]
            assert not any(re.search(each, html) for each in case.get("not", ())), case["id"]


def test_an_unfinished_environment_waits_for_its_end() -> None:
    """While an environment grows it is no Markdown; a blank line ends neither it nor its block."""
    blocks = Blocks()
    [before] = blocks.push("Then\n\n")
    assert blocks.push("\\begin{align}\na &= b \\\\\n\n- c\n") == []
    waits = [blocks.is_in_formula]
    assert blocks.push("\\end{align}\n") == []
    waits.append(blocks.is_in_formula)
    assert waits == [True, False]
    [formula] = blocks.push("\n")
    assert (before.text, math(formula.text)) == (
        "Then\n\n",
        ["\\begin{align}\na &= b \\\\\n\n- c\n\\end{align}"],
    )
    assert [each.text for each in blocks.push("\\begin{align}\n\n# So\n\n")] == [
        "\\begin{align}\n\n# So\n\n"
    ]


ENDLESS = [
    "$", "$$", "\\(", "\\[", "$ ", "$a ", "$a$ ", "($) ", "${", "`$", "![$", "[$x$](", "| $ ",
    "|$|x|$", "\\begin{a}", "\\begin{align}", "\\begin{align}\n", "\\begin{align}\n# h\n\n",
    "$$\n\n# h\n\n",
    "\\begin{align}" * 9 + "\\end{align}" * 9, "> \\[\n", "- $$ a\n", "> $a$\n", "\\text{",
    "$\\text{a_b}$ ", "$\\text{" + "{" * 30 + "_" * 30 + "}" * 31 + "$ ", "\\label{" * 9,
    "| a |\n|---|\n|" + " $x|$ |" * 20 + "\n", "| a | b |\n|---|---|\n" + "| $|x|$ | $ |\n" * 9,
]  # fmt: skip


@pytest.mark.parametrize("unit", ENDLESS)
def test_endless_formulas_take_linear_work(unit: str) -> None:
    """Twice the text takes twice the work, not four times."""
    assert calls_of(partial(draw, unit, 1_000)) < 2.6 * calls_of(partial(draw, unit, 500))
