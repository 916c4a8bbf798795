"""Fences within a block of Markdown."""

from __future__ import annotations

import re
from html import unescape

import pytest

from mm_magic.rendering.blocks import Blocks
from mm_magic.rendering.markdown import code_blocks, fragment

INNER = "# Title\n```python\nx = 1\n```\nmore\n\n```sh\nls\n```\nend\n"
PROSE = "After *it*.\n"


def code(html: str) -> list[str]:
    """The text of each block of code."""
    found = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", html, re.DOTALL)
    return [unescape(re.sub("<[^>]*>", "", each)) for each in found]


@pytest.mark.parametrize("name", ["markdown", "md", " Markdown "])
@pytest.mark.parametrize("marks", ["```", "~~~", "````"])
def test_a_block_of_markdown_holds_whole_blocks(name: str, marks: str) -> None:
    """The end of a block in it does not end a block of Markdown."""
    inner = INNER.replace("```", marks)
    text = f"{marks}{name}\n{inner}{marks}\n{PROSE}"
    assert code(fragment(text)) == [inner]
    assert "<p" in fragment(text).rpartition("</pre>")[2]
    assert [block for _, block in code_blocks(text)] == [inner]


def test_a_block_in_a_list_holds_whole_blocks() -> None:
    """The same holds where the block is indented in an item."""
    text = "1. Do:\n   ```markdown\n   a\n   ```py\n   x\n   ```\n   b\n   ```\n2. So *it* is.\n"
    assert code(fragment(text)) == ["a\n```py\nx\n```\nb\n"]
    assert "<em>it</em>" in fragment(text)


@pytest.mark.parametrize(
    "text",
    [
        f"```markdown\n# Title\n```\n{PROSE}",
        f"```markdown\n# Title\n```python\nx\n```\n{PROSE}",  # one fence closes both
        f"````markdown\n```python\nx\n```\n````\n{PROSE}",
        f"```python\n'''\n```markdown\n```\n{PROSE}",
        f"````\n```markdown\n```py\n````\n{PROSE}",
        f"```text\n```python\nx\n```\n{PROSE}",
    ],
)
def test_other_blocks_end_by_the_rules(text: str) -> None:
    """Where nothing is nested, or the block would not end, the first closing fence ends it."""
    assert len(code(fragment(text))) == 1
    assert "After <em>it</em>." in fragment(text)
    blocks = Blocks(limit=40)
    pieces = [piece.text for piece in blocks.push(text)]
    assert "".join([*pieces, blocks.rest]) == text


def test_a_growing_block_of_markdown_stays_one_block() -> None:
    """While it grows, and where it is cut for its length, nothing of it is drawn as Markdown."""
    text = "```markdown\n" + INNER * 8 + "```\n"
    blocks = Blocks(limit=100)
    pieces = blocks.push(text + PROSE)
    assert len(pieces) > 3
    assert "".join(line for piece in pieces for line in code(fragment(piece.drawn))) == INNER * 8
    assert blocks.rest == PROSE
    for end in range(len("```markdown\n"), len(text) - 4):
        growing = fragment(text[:end], typeset=False)
        assert growing.count("<pre ") == 1
        assert growing.endswith("</pre></div>\n")
