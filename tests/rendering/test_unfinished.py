"""The unfinished end of a growing answer, drawn without being taken back."""

from __future__ import annotations

import re
from html import unescape
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import hostile
from support.samples import one_in
from support.timing import calls_of

from mm_magic.rendering.blocks import Blocks
from mm_magic.rendering.markdown import Definitions, fragment
from mm_magic.rendering.unfinished import settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ANSWER = """Here are the points, **all of them**:
- one **bold** and `code` [link](https://a.invalid/b_c) x
- two with *em*, __strong__ and ~~none~~
  - three: ***both*** and **b *i* b** 2 * 3 snake_case

Setext is no list
and 1984 - a year. **Two
lines** of `a ``b`` c`, https://docs.invalid/_a_/b, ok. [^1]

1. one
2. two

| a | **b** |
|---|:-:|
| **1** | `2` |
| x | y \\| z |

## Head **b** ##

- [ ] task
- [x] **done**

```python
x = 1
`` `
```

H<sub>2</sub>O, <kbd>Ctrl</kbd>&amp;<b>c</b> <br> a < b ![i](https://x.invalid/i.png) [1] [sic] end!
Money: $5, $x_1*y$ and \\(a*b\\), \\*no\\* [the docs][a].

***

> quote *x*
> - more `y`

```markdown
# T
```sh
ls
```
end
```

**注意：**请先备份，见https://x.invalid/a_b。*「重点」*吧

[^1]: Foot *note*.

Text (*in brackets*, **"quoted"**) the end
"""


def frames(text: str) -> Iterator[tuple[str, str]]:
    """For each prefix of `text`: what is finished of it, and what is drawn below that."""
    blocks, definitions = Blocks(), Definitions(is_complete=False)
    done = ""
    for char in text:
        for piece in blocks.push(char):
            definitions.add(piece.drawn)
            done += fragment(piece.drawn, definitions, typeset=False)
        if not blocks.is_in_formula:
            rest = settled(blocks.drawn_rest, is_code=blocks.is_in_fence)
            yield done, fragment(rest, definitions, typeset=False)


def seen(html: str) -> str:
    """The text that a reader sees, without white space."""
    return "".join(unescape(re.sub("<[^>]*>", "", html)).split())


def jumps(drawn: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The frames whose text does not go on from the one before."""
    found, last = [], ""
    for frame in drawn:
        now = seen("".join(frame))
        if not now.startswith(last):
            found.append((last, now))
        last = now
    return found


@pytest.mark.parametrize("ends", ["", "\n", "\n\n"])
def test_no_frame_takes_back_what_was_shown(ends: str) -> None:
    """Letter by letter, each frame begins with all that the one before it showed."""
    assert jumps(frames(ANSWER.rstrip("\n") + ends)) == []


@pytest.mark.parametrize(
    ("text", "never"),
    [
        ("The points:\n- one\n", "<h"),
        ("The points:\n--- a\n", "<h"),
        ("Sum\n= 1\n", "<h"),
        ("A\n\n* * a\n", "<hr"),
        ("A\n\n1. a\n", r"1"),
        ("A\n\n#hash\n", "<h"),
        ("**bold** x", r"\*"),
        ("a ***b*** c", r"\*"),
        ("a **注意：**请", r"\*"),
        ("a [b](https://x.invalid/c) d", r"[\[\]()]"),
        ("a ![b](https://x.invalid/c) d", r"[!\[\]()]"),
        ("a <br> b <sub>c</sub> &amp; d", "&lt;|;b|&amp;a"),
        ("| a | b |\n|---|---|\n| c | d |\n", r"\||-"),
        ("- | a | b |\n  |---|---|\n  | c | d |\n", r"\||-"),
        ("```python\nx\n```\n", "`|python"),
        ("- a\n  ~~~ sh\n  x\n  ~~~\n", "~|sh"),
        ("a `b` ``c`d`` e", "`[bc]"),
        ("[a]: https://x.invalid\n\nb", "x.invalid"),
        ("- [ ] a\n- [x] b\n", r"\["),
        ("a[^1] b", r"\^"),
        ("## A ##\n", "#"),
        ("a \\*b\\* c", r"\\"),
        ("a\n\n***\n\nb", r"\*"),
    ],
)
def test_what_is_half_written_waits(text: str, never: str) -> None:
    """No frame shows the marks, or what they only look like at first."""
    for done, rest in frames(text):
        assert not re.search(never, bare(done + rest)), (done, rest)


def bare(html: str) -> str:
    html = re.sub(r"<small>[^<]*</small>(?=<pre)", "", html)  # the language of code
    html = re.sub(r' (?:dir|style|href|target|rel|start|class)="[^"]*"', "", html)
    return re.sub(r"</?(?:p|div|pre|code|li|ul|ol|t\w*)>", "", html)


def test_what_is_open_is_closed() -> None:
    """Emphasis, code and tags that have begun are drawn as such at once."""
    opened = {
        "a **b": "a <strong>b</strong>",
        "a **b *c": "a <strong>b <em>c</em></strong>",
        "a `b *c": "a <code>b *c</code>",
        "a <sub>b": "a <sub>b</sub>",
        "a ~~b": "a <s>b</s>",
        "a 2 * 3 ** 4": "a 2 * 3 ** 4",
        "a (*b": "a (<em>b</em>",
        "a https://x.invalid/_b": 'a <a href="https://x.invalid/_b"',
        "a [" + "b" * 1000: "a [b",
    }
    for text, html in opened.items():
        assert f">{html}" in fragment(settled(text))


def answers() -> list[str]:
    name = "real-world/answers.json"
    real = [case["text"] for case in (hostile.load(name) if hostile.is_there(name) else ())]
    return [text.replace("@@FILL@@", "") for text in real] + hostile.commonmark_examples()


@one_in(4)
def test_finished_blocks_stay_in_every_frame(step: int) -> None:
    """Of CommonMark's examples, and real answers: what was drawn of finished blocks stays, and
    few of even those examples jump."""
    texts = [text for text in answers() if len(text) < 2_000][::step]
    jumping = 0
    for text in texts:
        drawn = [*frames(text)]
        assert all(after[0].startswith(before[0]) for before, after in pairwise(drawn))
        jumping += bool(jumps(drawn))
    assert jumping < 0.06 * len(texts)


UNITS = [
    "[", "*", "**a ", "`", "<b>", "![", "a `", "_a", "\\(", "$a", "|", "| a ", "- ", "&", "<a",
    "[a](", "https://a ", "> ", "1. a\n", "(", "~~a ", "</b>", "|a|\n", "*a_b ",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_the_end_is_settled_in_linear_work(unit: str) -> None:
    """Twice the text takes twice the work, whatever it repeats."""

    def calls(size: int) -> int:
        return calls_of(lambda: settled(unit * (size // len(unit))))

    assert calls(4_000) < 2.6 * calls(2_000) + 100


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*UNITS, "\n", "\n\n", "a", " ", "。", "```", "\\"]), max_size=12))
def test_any_end_can_be_settled(parts: list[str]) -> None:
    """Whatever comes, the end of it is drawn, and what is settled stays as it is."""
    text = settled("".join(parts))
    assert isinstance(fragment(text, typeset=False), str)
    assert seen(fragment(settled(f"{text}\n\n"))) == seen(fragment(text))
