"""Thinking and calls that a model wrote as text: folded, named, and never more than text."""

from __future__ import annotations

import re

import pytest
from support.timing import calls_of

from mm_magic.rendering.blocks import Blocks
from mm_magic.rendering.bundles import answer_pages
from mm_magic.rendering.markdown import code_blocks, fragment, to_html
from mm_magic.rendering.unfinished import settled

THINKING = "Thinking, written as text"
MARKER = "]<]minimax[>["
M3_CALL = (
    f'Let me read it.{MARKER}<tool_call>\n{MARKER}<invoke name="read_file">{MARKER}<path>C:\\a.rs'
    f"{MARKER}</path>{MARKER}</invoke>\n{MARKER}</tool_call>\nDone."
)
M2_CALL = (
    '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Oslo</parameter>\n'
    "</invoke>\n</minimax:tool_call>\n\nIt is *cold*."
)


def folded(html: str) -> list[tuple[str, str]]:
    """The title and the text of each folded part."""
    found = re.findall(r"<details[^>]*><summary>(.*?)</summary><div[^>]*>(.*?)</div>", html)
    return [(title, text) for title, text in found]


@pytest.mark.parametrize("tag", ["think", "mm:think", "thinking"])
def test_thinking_is_folded(tag: str) -> None:
    """What stands between the tags is folded as plain text, and the answer below is Markdown."""
    html = to_html(f"<{tag}>\nFirst, **x**.\n\n# Then\n</{tag}>\n\nSo *y*.")

    assert folded(html) == [(THINKING, "First, **x**.<br><br># Then")]
    assert "<details>" in html
    assert ">So <em>y</em>.</p>" in html
    assert tag not in html.replace("Thinking", "")


@pytest.mark.parametrize("end", ["</tool_call>", "</minimax:tool_call>", "</tool_calls>"])
@pytest.mark.parametrize("before", ["Done.\n", f"Done.{MARKER}", f"Done.\n{MARKER}"])
def test_the_end_of_a_call_alone_is_not_a_call(before: str, end: str) -> None:
    """A leaked closing tag says nothing of a call or of thinking: nothing was called or thought."""
    html = to_html(before + end)

    assert "Done." in html
    assert "written as text" not in html
    assert "tool_call" not in html


@pytest.mark.parametrize("text", ["<think></think>\n\nHi", "<think>\n\n</think>\n\nHi"])
def test_thinking_of_no_words_is_not_a_box(text: str) -> None:
    """A template that turns thinking off leaves an empty pair of tags."""
    assert folded(to_html(text)) == []
    assert "Hi" in to_html(text)


@pytest.mark.parametrize("tag", ["think", "mm:think", "thinking"])
def test_code_above_a_closing_tag_is_not_the_answers(tag: str) -> None:
    """What stands above a closing tag alone is thinking, its code too."""
    text = f"```python\nwrong()\n```\n</{tag}>\n\n```python\nright()\n```\n"
    assert code_blocks(text) == [("python", "right()\n")]


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "</summary><script>alert(1)</script>", '" onclick="x']
)
@pytest.mark.parametrize(
    "shape", ['{{"name": "{}"}}', '<invoke name="{}">', '<parameter name="{}">']
)
def test_a_hostile_name_is_text(shape: str, name: str) -> None:
    """The names of calls and parameters become no element and no attribute."""
    html = to_html(f"<minimax:tool_call>\n{shape.format(name)}\n</minimax:tool_call>\n")
    elements = set(re.findall(r"<(/?\w+)", html))

    assert elements <= {"div", "/div", "details", "/details", "summary", "/summary", "br"}
    assert len(folded(html)) == 1


@pytest.mark.parametrize(
    ("text", "title", "inside", "after"),
    [
        (M2_CALL, "Tool call to get_weather, written as text and not run", "Oslo", "<em>cold</em>"),
        (M3_CALL, "Tool call to read_file, written as text and not run", "C:\\a.rs", "Done."),
        (
            '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>\nAfter',
            "Tool call to f, written as text and not run",
            "arguments",
            "After",
        ),
        (
            f"{MARKER}{MARKER}<initial_wait>10{MARKER}</initial_wait>{MARKER}\n{MARKER}</tool_call>",
            "Tool call, written as text and not run",
            "10",
            "",
        ),
        (
            '<tool_calls>\n{"name": "g", "arguments": {}}\n</tool_calls>\nAfter',
            "Tool call to g, written as text and not run",
            "arguments",
            "After",
        ),
        (
            f"{M2_CALL}\n\n{M2_CALL}",
            "Tool call to get_weather, written as text and not run",
            "Oslo",
            "",
        ),
    ],
)
def test_call_is_folded_and_named(text: str, title: str, inside: str, after: str) -> None:
    """A call names its function and says that it was not run; the markers of M3 are not shown."""
    html = to_html(text)

    assert {name for name, _ in folded(html)} == {title}
    assert all(inside in shown for _, shown in folded(html))
    assert after in html
    assert "minimax[" not in html


def test_text_before_a_call_stays() -> None:
    """A call may begin in the middle of a line, below a list too."""
    assert ">Let me read it.</p>\n<details>" in to_html(M3_CALL)
    assert "</ul>\n<details>" in to_html(f"- a\n- b\n{M2_CALL}")


def test_an_unclosed_part_is_open() -> None:
    """Nothing follows it, so it may be all that there is to read; while it grows it is folded."""
    assert "<details open" in to_html("<think>\nWhy not.")
    assert "<details>" in fragment("<think>\nWhy not.", typeset=False)


def test_a_closing_tag_alone() -> None:
    """Where the template began the thinking, only its end comes: a line says what it is."""
    html = to_html("I think.\n</think>\n\nThe answer.")

    assert html.index("I think.") < html.index("is thinking, written as text") < html.index("The a")


@pytest.mark.parametrize(
    "text",
    ["`<think>` is a tag", "```\n<think>\nx\n```\n", "the <think> tag", f"`{MARKER}` is a marker"],
)
def test_a_quotation_stays(text: str) -> None:
    """A tag in code, or a tag for thinking in the middle of a line, is talked about."""
    assert folded(to_html(text)) == []


def test_code_in_it_is_not_the_answers() -> None:
    """`%minimax code` takes the code of the answer alone."""
    text = "<think>\n```python\nwrong()\n```\n</think>\n\n```python\nright()\n```\n"
    assert code_blocks(text) == [("python", "right()\n")]


PARTS = [
    "<think>\na\n\nb\n</think>\n\n",
    M2_CALL + "\n\n",
    M3_CALL + "\n\n",
    "- item\n- item\n\n",
    "```\n<think>\n```\n\n",
    "Text.\n\n",
    "<think>a</think> b\n\n",
]


@pytest.mark.parametrize("first", range(len(PARTS)))
def test_blocks_are_drawn_alone_as_together(first: int) -> None:
    """A growing answer is cut into blocks that look as they do in one piece."""
    text = "".join(PARTS[first:] + PARTS[:first])
    blocks = Blocks()
    pieces = [piece.drawn for char in text for piece in blocks.push(char)]

    assert "".join(map(fragment, [*pieces, blocks.rest])) == fragment(text)


@pytest.mark.parametrize("text", [*PARTS[:3], f"Ready. {M3_CALL}"])
def test_no_frame_shows_a_tag(text: str) -> None:
    """While it arrives character by character, no tag is drawn and taken back."""
    blocks, done = Blocks(), ""
    for char in text:
        done += "".join(fragment(piece.drawn, typeset=False) for piece in blocks.push(char))
        rest = blocks.drawn_rest
        frame = done + fragment(rest if blocks.open_tag else settled(rest), typeset=False)
        outside = re.sub(r"<details>.*?</details>", "", frame, flags=re.DOTALL)
        assert "&lt;" not in outside
        assert "minimax" not in outside
        assert "]&lt;" not in outside


@pytest.mark.parametrize(
    "unit",
    ["<think>", "</think>", MARKER, "<think></think>", "a <think>\n", f"`{MARKER}", "<think>\n\n"],
)
def test_the_work_is_linear(unit: str) -> None:
    """Twice as much of it takes at most about twice the work."""
    one, two = (calls_of(lambda n=n: to_html(unit * n)) for n in (200, 400))  # type: ignore[misc]
    assert two < 2.3 * one + 2000


def test_pages_keep_it_whole() -> None:
    """A long one is not cut in the middle, whatever blank lines it holds."""
    text = "<think>\n" + "word word\n\n" * 2000 + "</think>\n\nThe answer."
    pages = answer_pages(text)

    assert "".join(pages) == text
    assert all(page.count("<think>") == page.count("</think>") for page in pages)
