"""Several answers as bundles: the table, the labels, and what stands once."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from markdown_it import MarkdownIt

from mm_magic.conversation.replies import Outcome
from mm_magic.conversation.reply import Reply, Status
from mm_magic.errors import MiniMaxError
from mm_magic.protocol.messages import Message, TextBlock, ThinkingBlock, Usage
from mm_magic.rendering.comparison import (
    ShownAnswer,
    answers_in_lines,
    answers_on_page,
    compare_table,
    same_texts,
)

FORMS = ("text/html", "text/markdown")
HOSTILE = '<script>alert(1)</script> [x](javascript:alert(1)) "\u202e'


def answer(
    number: int,
    text: str = "Blue.",
    *,
    label: str = "",
    thinking: str = "",
    status: Status = "complete",
    error: MiniMaxError | None = None,
    seconds: float | None = None,
) -> ShownAnswer:
    blocks = [ThinkingBlock(thinking, "5f")] * bool(thinking) + [TextBlock(text)] * bool(text)
    message = Message(
        model="MiniMax-M3",
        content=tuple(blocks),
        usage=Usage(input_tokens=1000, output_tokens=1000),
        stop_reason="end_turn",
    )
    reply = Reply(message, status, seconds=seconds)
    outcome = Outcome(number, reply, label=label, model="M", error=error)
    return ShownAnswer(outcome, {"-t": f"0.{number}"})


def html(bundle: dict[str, object]) -> str:
    return str(bundle["text/html"])


def test_table() -> None:
    """A row for each answer: its number, what varies, seconds, tokens, price and how it ended."""
    lost = MiniMaxError("slow down", kind="rate_limit")
    rows = [
        answer(1, seconds=2.54),
        answer(2, status="stopped"),
        answer(3, "", status="incomplete", error=lost),
    ]

    assert str(compare_table(rows)["text/plain"]).split("\n") == [
        "answer  -t   seconds  tokens                price    ended",
        "1       0.1  2.5      1,000 in / 1,000 out  $0.0015  end_turn",
        "2       0.2                                          stopped",
        "3       0.3                                          failed: rate_limit",
    ]


def test_table_says_what_those_do_that_have_not_ended() -> None:
    """Until an answer has ended, the last column says what it does."""
    rows = [replace(answer(1, status="stopped"), state="thinking…"), answer(2)]

    assert [line.split()[-1] for line in str(compare_table(rows)["text/plain"]).split("\n")] == [
        "ended",
        "thinking…",
        "end_turn",
    ]


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        ("aaa", [[1, 2, 3]]),
        ("aba", [[1, 3], [2]]),
        ("abc", [[1], [2], [3]]),
        (["a", "a\n", " "], [[1, 2], [3]]),
        (["", "", "x"], [[1], [2], [3]]),
    ],
)
def test_equal_texts_stand_once(texts: list[str], numbers: list[list[int]]) -> None:
    """Answers with one text are a group, in the place of the first; empty ones never are."""
    answers = [answer(number, text) for number, text in enumerate(texts, 1)]
    groups = same_texts(answers)

    assert [[each.outcome.number for each in group] for group in groups] == numbers
    for shown in (answers_on_page, answers_in_lines):
        plain = "\n".join(str(b["text/plain"]) for b in shown(answers, hide_thinking=False))
        found = [line for line in plain.split("\n") if line in {"a", "b", "c", "x"}]
        assert len(found) == len({text.strip() for text in texts} - {""})


def test_labels() -> None:
    """The line says which answers are the same, and what varies in one."""
    lines = {
        "aba": ["2 of 3 answers are the same: 1 and 3", "Answer 2 · -t 0.2"],
        "aaba": ["3 of 4 answers are the same: 1, 2 and 4", "Answer 3 · -t 0.3"],
        "aaa": ["All 3 answers are the same"],
    }
    for texts, labels in lines.items():
        answers = [answer(n, text, label=f"-t 0.{n}") for n, text in enumerate(texts, 1)]
        shown = answers_in_lines(answers, hide_thinking=False)
        assert [b["text/plain"] for b in shown][::2] == labels
        html_, markdown = (str(answers_on_page(answers, hide_thinking=False)[0][k]) for k in FORMS)
        assert [label for label in labels if f"<strong>{label}</strong>" in html_] == labels
        assert [label for label in labels if f"**{label}**" in markdown] == labels


def test_hostile_labels_and_errors_are_text() -> None:
    """A system prompt in a label, and an error's words, stand as text in each form."""
    error = MiniMaxError(HOSTILE, kind="server")
    shown = answer(1, "", label=f"-s {HOSTILE}", status="incomplete", error=error)
    bundles = [compare_table([shown]), *answers_on_page([shown], hide_thinking=False)]

    for bundle in bundles:
        assert "<script" not in html(bundle)
        assert "<script" not in str(bundle.get("text/markdown", ""))
        assert not any("\u202e" in str(each) for each in bundle.values())


def test_thinking_of_each_is_kept() -> None:
    """Each answer's thinking is a folded box above the columns, also where texts are the same."""
    answers = [answer(1, thinking="Hm."), answer(2, thinking="Well."), answer(3)]
    shown = answers_on_page(answers, hide_thinking=False)

    assert [str(each["text/plain"]).split("\n")[0] for each in shown] == [
        "Thinking for answer 1:", "Thinking for answer 2:", "Answer 3: no thinking",
        "All 3 answers are the same",
    ]  # fmt: skip
    assert all("<details" in html(each) for each in shown[:2])
    hidden = answers_on_page(answers, hide_thinking=True)
    assert not any("Hm." in str(each) for each in hidden)


def test_thinking_in_lines() -> None:
    """In a terminal each answer's thinking stands below its label."""
    answers = [answer(1, "a", thinking="Hm."), answer(2, "b", thinking="Well.")]
    shown = answers_in_lines(answers, hide_thinking=False)

    assert [str(each["text/plain"]).split("\n")[0] for each in shown] == [
        "Answer 1", "Thinking for answer 1:", "a", "Answer 2", "Thinking for answer 2:", "b",
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_side_by_side(count: int) -> None:
    """Up to four different answers stand in a grid, in order, each below a heading of its own."""
    answers = [answer(number, f"Text {number}.") for number in range(1, count + 1)]
    (bundle,) = answers_on_page(answers, hide_thinking=False)

    assert html(bundle).count("display:grid") == {1: 0, 2: 1, 3: 1, 4: 3}[count]
    assert re.findall(r"<h3[^>]*><strong>(.*?)</strong>|(Text \d)", html(bundle)) == [
        each for n in range(1, count + 1) for each in ((f"Answer {n}", ""), ("", f"Text {n}"))
    ]
    assert "<details" not in html(bundle)


def test_five_are_folded() -> None:
    """Five different answers are folded, each with its thinking; the label is the fold's title."""
    answers = [answer(n, f"Text {n}.", thinking=f"Hm {n}.") for n in range(1, 6)]
    (bundle,) = answers_on_page(answers, hide_thinking=False)

    assert "display:grid" not in html(bundle)
    assert re.findall(
        r"<summary[^>]*>(?:<strong>)?(.*?)(?:</strong>)?</summary>", html(bundle)
    ) == [each for n in range(1, 6) for each in (f"Answer {n}", f"Thinking for answer {n}")]
    assert " open" not in html(bundle)
    assert all(f"Hm {n}." in str(bundle[form]) for n in range(1, 6) for form in bundle)


def test_five_with_few_texts_stand_side_by_side() -> None:
    """What counts is how many there are to read."""
    answers = [answer(n, text) for n, text in enumerate("aabba", 1)]
    (bundle,) = answers_on_page(answers, hide_thinking=False)

    assert html(bundle).count("<h3") == 2


OUTBREAKS = [
    "</div></div></div>text", "<details><summary>x", "<table><tr><td>", "<!--", "<![CDATA[",
    "<script>", "<style>", "<plaintext>", "<textarea>", "```\ncode", "~~~~\ncode",
    "> ```\n> code", "- ```\n  code", "````markdown\n```\ncode\n```", "    indented code",
    "| a | b |\n| - | - |\n| 1 |", "<think>hm", "$$\nx", "\\[\nx", "\\begin{align}\nx", "text\n---",
    "[a]: http://b", "*a", "`a", "<b>a", "# a", "1. a\n2. b", "- a\n\n  b",
    "&lt;/div&gt;", "\u202eabc",
]  # fmt: skip


@pytest.mark.parametrize("text", OUTBREAKS)
@pytest.mark.parametrize("count", [2, 5])
def test_no_answer_breaks_out_of_its_place(text: str, count: int) -> None:
    """Whatever an answer leaves open, the next label stands where it would without it."""
    answers = [answer(n, text if n == 1 else f"Text {n}.") for n in range(1, count + 1)]
    tame = [answer(n, f"Text {n}.") for n in range(1, count + 1)]
    (bundle,), (usual,) = (answers_on_page(a, hide_thinking=False) for a in (answers, tame))

    assert depths(html(bundle)) == depths(html(usual))
    for parser in (MarkdownIt("commonmark"), MarkdownIt("commonmark").enable("table")):
        assert strong_paragraphs(parser, bundle)[-count:] == strong_paragraphs(parser, usual)


class Depths(HTMLParser):
    """How deep each label stands."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        if tag not in {"br", "hr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.startswith("Answer "):
            self.found.append((data, tuple(self.open)))


def depths(shown: str) -> list[tuple[str, tuple[str, ...]]]:
    """The labels with the tags that are open around them; all are closed in the end."""
    parser = Depths()
    parser.feed(shown)
    parser.close()
    assert parser.open == []
    return parser.found


def strong_paragraphs(parser: MarkdownIt, bundle: dict[str, object]) -> list[str]:
    """The labels that the Markdown has at its margin."""
    tokens = parser.parse(str(bundle["text/markdown"]))
    return [
        text.content
        for opening, text in pairwise(tokens)
        if opening.type == "paragraph_open"
        and opening.level == 0
        and text.content.startswith("**Answer ")
    ]


def test_formulas_are_set_and_text_runs_its_own_way() -> None:
    """In a column formulas are recognised, and each block has the direction of its text."""
    answers = [answer(1, "So $x^2$ holds."), answer(2, "שלום לכם")]
    (bundle,) = answers_on_page(answers, hide_thinking=False)

    assert 'mathjax_process tex2jax_process">$x^2$' in html(bundle)
    assert html(bundle).count('dir="auto"') >= 4


def test_stopped_and_failed_say_so() -> None:
    """Below what came stands how it ended: "stopped", or the error's card."""
    lost = MiniMaxError("slow down", kind="rate_limit", next_steps=("Wait.",))
    answers = [answer(1, "Bl", status="stopped"), answer(2, "Bl", status="incomplete", error=lost)]

    lines = answers_in_lines(answers, hide_thinking=False)
    assert [each["text/plain"] for each in lines] == [
        "Answer 1", "Bl", "stopped", "Answer 2", "Bl", "slow down\n→ Wait.",
    ]  # fmt: skip
    (bundle,) = answers_on_page(answers, hide_thinking=False)
    assert bundle["text/plain"] == (
        "Answer 1\n\nBl\n\nstopped\n\nAnswer 2\n\nBl\n\nslow down\n→ Wait."
    )
    assert str(bundle["text/markdown"]).endswith("**Answer 2**\n\nBl\n\nslow down\n→ Wait.")
