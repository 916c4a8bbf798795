"""Model Markdown to safe HTML, to plain text, and into blocks."""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import nh3
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.corpora import escapes, own_payloads, payloads, strings
from support.timing import calls_of, seconds_of

from mm_magic.rendering import markdown
from mm_magic.rendering.blocks import Blocks
from mm_magic.rendering.bundles import disarmed
from mm_magic.rendering.code import CODE_STYLE, PRE_STYLE
from mm_magic.rendering.dialect import PAIRED_TAGS
from mm_magic.rendering.markdown import (
    MAX_MARKDOWN,
    fragment,
    to_html,
    with_typeset,
)
from mm_magic.wording import plain

if TYPE_CHECKING:
    from collections.abc import Callable

OWN = [*own_payloads().values()]

ALLOWED: dict[str, set[str]] = {
    "a": {"href", "title", "target", "rel"},
    "details": {"open"},
    "ol": {"start", "dir", "style"},
    "th": {"style", "dir", "align"},
    "td": {"style", "dir", "align"},
    "pre": {"style"},
    "span": {"class"},
    "div": {"class", "dir", "style"},
    "p": {"dir", "style"},
    **{tag: {"class", "dir"} for tag in ("h3", "h4")},
    **{tag: {"class", "dir", "style"} for tag in ("h5", "h6")},
    **{tag: {"dir", "style"} for tag in ("ul", "blockquote")},
    **{tag: set() for tag in ("br", "code", "em", "hr", "s", "strong", "summary")},
    "li": {"dir"},
    **{tag: set() for tag in ("table", "tbody", "thead", "tr", *PAIRED_TAGS)},
}
STYLES = {
    "",
    "text-align:left",
    "text-align:right",
    "text-align:center",
    "margin:0 0 1em 1em",
    "max-width:46em",
    "font-size:1.1em",
    "font-size:1em",
    "text-align:right;max-width:46em",
    CODE_STYLE,
    PRE_STYLE,
}
CLASSES = re.compile(
    r"mm-answer|highlight|jp-toc-ignore|(mathjax|tex2jax)_(process|ignore)|[ckmos]|err"
)


class Elements(HTMLParser):
    """All start tags with their attributes, and the formulas that MathJax would set."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.math: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.tags and "mathjax_process" in self.tags[-1][1].get("class", ""):
            self.math.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", {}))


def check_safe(html: str) -> None:
    for tag, attributes in Elements(html).tags:
        if tag.startswith("/"):
            continue
        assert set(attributes) <= ALLOWED[tag], html
        assert all(map(CLASSES.fullmatch, attributes.get("class", "").split())), html
        assert re.match(r"https?://|mailto:", attributes.get("href", "http://"), re.I), html
        assert attributes.get("style", "") in STYLES, html


@pytest.mark.parametrize("payload", OWN)
def test_own_payloads_leave_only_allowed_markup(payload: str) -> None:
    """No payload yields a tag, attribute, class or address outside the allowlist."""
    check_safe(to_html(payload))
    check_safe(fragment(payload, typeset=False))


@pytest.mark.parametrize("payload", OWN)
def test_payloads_in_markup_of_models_leave_only_allowed_markup(payload: str) -> None:
    """Within thinking and calls that arrive as text a payload is text, in names too."""
    for text in (
        f"<think>\n{payload}\n</think>\n{payload}",
        f'<minimax:tool_call>\n<invoke name="{payload}">\n</minimax:tool_call>',
        f'<tool_call>{{"name": "{payload}"}}',
        f"]<]minimax[>[<tool_call>{payload}",
    ):
        check_safe(to_html(text))


@pytest.mark.parametrize("texts", [payloads, strings])
def test_hostile_corpora_leave_only_allowed_markup(texts: Callable[[], list[str]]) -> None:
    """No text of the hostile corpora yields markup outside the allowlist."""
    for text in texts():
        check_safe(to_html(text))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*OWN, "\n", "\n\n", "> ", "- ", "```", "$", "`", "|", "<", '"', "<think>", "</think>"]
        )
    )
)
def test_mixed_payloads_leave_only_allowed_markup(parts: list[str]) -> None:
    """Payloads joined with pieces of Markdown yield nothing outside the allowlist."""
    check_safe(to_html("".join(parts)))


def math(text: str) -> list[str]:
    return Elements(to_html(text)).math


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        (r"a \(x^2\) b", [r"\(x^2\)"]),
        (r"\[ y_1 _z_ \]", [r"\[ y_1 _z_ \]"]),
        ("$x$, $y_1$ and *$z*2*$*", ["$x$", "$y_1$", "$z*2*$"]),
        (
            "$$\n\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}\n$$",
            ["$$\n\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}\n$$"],
        ),
        ("$$\na\n- b\n# c\n$$", ["$$\na\n- b\n# c\n$$"]),
        ("1. item\n\n   $$\n   a\n\n   b\n   $$\n\n2. two", ["$$\n   a\n\n   b\n   $$"]),
        ("> $$\n> a\n>\n> b\n> $$", ["$$\na\n\nb\n$$"]),
        ("| a |\n|---|\n| $|x|$ |", ["$|x|$"]),
        ("**$a$**", ["$a$"]),
        (r"\(a \text{ if } b<c\)", [r"\(a \text{ if } b<c\)"]),
        ("$5 and $10", []),
        ("$ x$ and $x $ and $x$5", []),
        (r"\$x$ and \\(x\\)", []),
        ("`$x$` and ``\\(y\\)``", []),
        ("```\n$x$\n$$\ny\n$$\n```", []),
        ("    $x$", []),
        ("$$ never closed\n\nand *more*", []),
        ("costs $$ a lot\n\nor $$ more", []),
        (r"\( open", []),
        ("$$$$", []),
        (r"$\href{javascript:alert(1)}{x}$", []),
        (r"$\def\x{y}\x$", []),
        (r"$\defeq \inf \letter$", [r"$\defeq \inf \letter$"]),
    ],
)
def test_math_reaches_mathjax_as_it_was_written(text: str, formulas: list[str]) -> None:
    """Formulas outside code pass verbatim; money, open, and unsafe formulas are text."""
    assert math(text) == formulas


def test_nothing_but_math_is_typeset() -> None:
    """All else stands under mathjax_ignore, and while an answer grows so does the math."""
    assert to_html("$5 $x$").startswith('<div class="mm-answer mathjax_ignore')
    assert "_process" not in fragment("$x$", typeset=False)
    assert "$x$" in fragment("$x$", typeset=False)


def test_math_in_code_and_addresses_is_put_back() -> None:
    """What looks like a formula in an address, a title or code is there as it was written."""
    html = to_html('[k](https://a.invalid/$b$c "t $y$") and\n\n    $x$\n')
    assert 'href="https://a.invalid/$b$c"' in html
    assert 'title="t $y$"' in html
    assert "$x$" in html


LEVELS = {"1": 3, "2": 4, "3": 5, "4": 6}
BENIGN = [
    "# One\n\n## Two\n\n### Three\n\n#### Four\n\ntext *em* **strong** `code`",
    "- a\n- b\n  - c\n\n1. x\n2. y\n",
    "3. x\n\n4. y\n",
    "> quote\n>\n> more\n\n---\n\nline  \nbreak\\\nagain",
    "[a](https://x.invalid/?a=1&b=2) <https://y.invalid> [r]\n\n[r]: https://z.invalid",
    "a & b < c > d \" e ' f &copy; 5\\*3",
    "| a | b |\n|---|:-:|\n| ~~1~~ | 2 |",
]


@pytest.mark.parametrize("text", BENIGN)
def test_benign_markdown_keeps_its_meaning(text: str) -> None:
    """The same elements and text as CommonMark's, with headings from h3 down."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    html = re.sub(r"<(/?h)(\d)>", lambda m: f"<{m[1]}{LEVELS[m[2]]}>", parser.render(text))
    html = re.sub(r"(<h[3456]>)(.*)(</h[3456]>)", r"\1<strong>\2</strong>\3", html)
    due = Elements(html)
    ours = Elements(fragment(text))
    assert [tag for tag, _ in ours.tags] == [tag for tag, _ in due.tags]
    assert "".join(ours.text) == "".join(due.text)
    assert [a["href"] for t, a in ours.tags if t == "a"] == [
        a["href"] for t, a in due.tags if t == "a"
    ]


def test_code_is_coloured_by_classes() -> None:
    """A known language gets the classes that the editor colours; another is plain, escaped code."""
    code = "def f(x):\n    return [not x, 'a<b', 0x1f]  # so\n"
    html = to_html(f"```python\n{code}```")
    spans = re.findall(r'<span class="([a-z]+)">([^<]*)</span>', html)
    assert [(name, text.strip()) for name, text in spans] == [
        *(("k", "def"), ("k", "return"), ("o", "not")),
        *(("s", "'a&lt;b'"), ("m", "0x1f"), ("c", "# so")),
    ]
    inside = html.partition("<code>")[2].partition("</code>")[0]
    assert unescape(re.sub("<[^>]*>", "", inside)) == code
    assert '<span class="err">' in to_html("```python\n$\n```")
    for info in ("nosuch", 'x" onload="y', "python{}", "../../etc"):
        html = to_html(f"```{info}\n<b> def\n```")
        assert "<code>&lt;b&gt; def\n</code></pre></div>" in html


def test_only_links_to_the_web_are_links() -> None:
    """A link elsewhere stays text; one to the web opens a new page that knows nothing of this."""
    assert "<a" not in to_html("[a](javascript:x) [b](/lab) <data:x,y> [c](#top) [d](file:///x)")
    html = to_html("[a](https://a.invalid) <mailto:b@c.invalid>")
    assert html.count('target="_blank" rel="noopener noreferrer nofollow"') == 2


def test_an_image_becomes_a_link() -> None:
    """An image is never fetched: it is a link with its text, or text inside another link."""
    assert '<a href="https://x.invalid/i"' in to_html("![alt](https://x.invalid/i)")
    html = to_html("[![alt](https://x.invalid/i)](https://y.invalid)")
    assert html.count("<a ") == 1
    assert ">alt</a>" in html


def test_cells_of_a_table_are_aligned_as_text_is() -> None:
    """A cell begins where its script begins, unless the table's rule says otherwise."""
    html = to_html("| a | b |\n| --- | ---: |\n| c | d |\n| שלום | e |")
    cells = re.findall(r"<t[hd][^>]* style=\"text-align:(left|right)\"[^>]*>(\w+)", html)
    expected = ["left a", "right b", "left c", "right d", "right שלום", "right e"]
    assert [" ".join(cell) for cell in cells] == expected


def test_headings_stay_out_of_the_table_of_contents() -> None:
    """JupyterLab lists headings of outputs too, but skips those with this class."""
    assert '<h3 class="jp-toc-ignore" dir="auto"><strong>A</strong></h3>' in to_html("# A")


def test_right_to_left_text_is_aligned_to_its_start() -> None:
    """Arabic and Hebrew paragraphs are not forced to the left; others are not aligned."""
    assert '<p dir="auto" style="text-align:right;' in to_html("مرحبا Hello")
    assert '<p dir="auto" style="text-align:right;' in to_html("*שלום* world")
    assert "text-align" not in to_html("Hello")


def test_an_address_is_shown_as_it_is() -> None:
    """A look-alike host shows in punycode, and invisible characters make no link."""
    assert ">https://xn--" in to_html("<https://раураl.invalid/>")
    assert "<a " not in to_html("[x](https://a.invalid/b\u200bc)")


repeated = pytest.mark.parametrize(
    "unit",
    ["[", "*", ">", "`", "$", "![", "> " * 40 + "a\n", "\\[\n", "\\(", "$a ", "`a``", "- ", "a|",
     "```\n", "$$\n", "*_", "**a *b ", "&", "|\n", "- \\[\n", "[a]: b\n", "    a\n", "1. a\n\n",
     "\\(" * 4900 + r"\href\)", "\\[ " * 3000 + r"\href\] ", "- - - - - a\n",
     "> " * 9000 + "$$ " * 9000 + "\n\n$$\n", " " * 90_000 + "x\n|\n"],
)  # fmt: skip


PROSE = """A **bold** word, `code`, a [link](https://a.example/b) and the formula $x^2$ in a line.

- an item, and *another* word

"""


def draw(unit: str, size: int) -> None:
    """All that is done with an answer of this size that repeats this."""
    text = (unit * (size // len(unit) + 1))[:size]
    assert to_html(text)
    Blocks(limit=4000).push(text)
    disarmed(text)


@repeated
def test_repeated_markup_takes_linear_work(unit: str) -> None:
    """Twice the markup takes twice the work, not four times."""
    assert calls_of(lambda: draw(unit, 1_000)) < 2.6 * calls_of(lambda: draw(unit, 500))


@pytest.mark.timed
@repeated
def test_repeated_markup_takes_no_long_time(unit: str) -> None:
    """The longest text that is still parsed, and a megabyte, take at most 20 times what prose does.

    A bracket that nothing closes is the worst: each one looks ahead, as deep as markup may nest.
    """
    ordinary = seconds_of(partial(draw, PROSE, MAX_MARKDOWN), rounds=1)
    for size in (MAX_MARKDOWN, 1_000_000):
        assert seconds_of(partial(draw, unit, size), rounds=1) < 20 * ordinary


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_plain_text_has_no_controls(text: str) -> None:
    """Plain text holds no control but TAB and LF, and can be encoded."""
    shown = plain(text)
    shown.encode()
    assert not [c for c in shown if unicodedata.category(c) == "Cc" and c not in "\t\n"]
    assert plain(shown) == shown


def test_terminal_escapes_do_not_reach_plain_text() -> None:
    """None of the terminal sequences, reordering controls or tag characters survives."""
    for text in escapes():
        shown = plain(text)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
        assert not re.search(r"[\U000e0000-\U000e007f]", shown)


def test_plain_text_joins_surrogates() -> None:
    """A pair of surrogates becomes its character, a lone one U+FFFD; CRLF becomes LF."""
    assert plain("\ud83d\ude00 \ud800 a\r\nb\x1b[1m") == "😀 � a\nb␛[1m"


DOCUMENT = """# Title

Some *text*
over lines.
- a
- b

  more of b

- c

After the list.

1. one
   ```python
   x = 1

   y = 2
   ```

2. two

```text
a

b
```
right after
> quote

> another

    indented

    code

$$
a

- b
$$

| a | b |
|---|---|
| 1 | 2 |

***

\\[
x
\\]

end"""


def test_blocks_render_as_the_whole_does() -> None:
    """Rendered one by one the blocks give the bytes of one rendering, and joined the text."""
    blocks = Blocks()
    parts = [*(block.text for block in blocks.push(DOCUMENT)), blocks.rest]
    assert len(parts) > 10
    assert "".join(parts) == DOCUMENT
    assert "".join(map(fragment, parts)) == fragment(DOCUMENT)


SIMPLE = [
    "- a",
    "  b",
    "",
    "text",
    "> q",
    "    code",
    "# h",
    "1. x",
    "| a | b |",
    "|---|---|",
    "***",
]
LINES = [*SIMPLE, "```", "~~~", "$$", "  ```", "> ```", r"\[", r"\]"]


def as_text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=25).map(as_text), st.data())
def test_blocks_do_not_depend_on_the_cuts(text: str, data: st.DataObject) -> None:
    """However the text is cut into deltas, the pieces are the same and lose nothing."""
    whole = Blocks(limit=40)
    due = whole.push(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    blocks = Blocks(limit=40)
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert [piece for part in parts for piece in blocks.push(part)] == due
    assert (blocks.rest, blocks.drawn_rest) == (whole.rest, whole.drawn_rest)
    assert "".join(piece.text for piece in due) + whole.rest == text


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=40).map(as_text))
@example(
    "    a\n| b\n|---|\n" + "    | c | d | e | f | g | h | i |\n" * 3 + "\n    code\n\nend\n\n"
)
@example("- a\n  $$\n" + "- item of a list\n" * 700 + "\ntext\n\n$$\n\nmore\n\n")
def test_where_blocks_end_does_not_depend_on_the_limit(text: str) -> None:
    """The parts of a long block end where the block itself does."""
    parts, exact = Blocks(limit=40), Blocks()
    joined = [""]
    for piece in parts.push(text):
        joined[-1] += piece.text
        joined += [""] if piece.ends_block else []
    due = [block.text for block in exact.push(text)]
    assert joined[:-1] == due
    assert joined[-1] + parts.rest == exact.rest


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(SIMPLE), max_size=20).map(as_text))
@example("# h\n    code\n\n    code\n")
def test_blocks_of_any_lines_render_as_the_whole_does(text: str) -> None:
    """Blocks of any lines without fences and math give, one by one, the bytes of the whole."""
    blocks = Blocks()
    parts = [*(block.text for block in blocks.push(text)), blocks.rest]
    assert "".join(map(fragment, parts)) == fragment(text)


@pytest.mark.timed
@pytest.mark.parametrize("rule", ["-", " ", "- "])
def test_the_second_line_is_matched_once(rule: str) -> None:
    """A long line where a table's rule could be is looked at once, however many rows follow."""

    def seconds(size: int) -> float:
        text = f"a\n{rule * size}x\n" + "|\n" * size
        assert Blocks(limit=4000).push(text) == []
        return seconds_of(lambda: Blocks(limit=4000).push(text))

    assert seconds(48_000) < 8 * seconds(12_000)


def test_a_long_fence_is_cut_and_opened_again() -> None:
    """Long code goes on in a new fence of the same language; a table repeats its head."""
    blocks = Blocks(limit=100)
    code = [part.drawn for part in blocks.push("\n```python\n" + "x = 1\n" * 50 + "```\n")]
    assert len(code) > 2
    assert all(part.lstrip().startswith("```python\n") and part.endswith("```\n") for part in code)
    assert "".join(code).count("x = 1") == 50
    rows = "\n| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 50 + "\n"
    table = [part.drawn for part in blocks.push(rows)]
    assert len(table) > 2
    assert all(part.lstrip().startswith("| a | b |\n|---|---|\n") for part in table)
    assert "".join(table).count("| 1 | 2 |") == 50


def stripped(html: str) -> str:
    """What GitHub's sanitizer leaves: neither styles nor classes, but the side of a cell."""
    kept = {"details": {"open"}, "ol": {"start"}, "td": {"align"}, "th": {"align"}}
    return nh3.clean(html, attributes={**kept, "a": {"href"}, "*": {"dir"}})


def test_code_keeps_its_language_where_styles_are_stripped() -> None:
    """The name stands before the code, not in it, and it is Pygments' name if there is one."""
    names = {"py": "Python", "C++": "C++", "sh": "Bash", "nosuch": "nosuch", "text": "", "": ""}
    for info, name in names.items():
        html = stripped(to_html(f"```{info}\nx\n```"))
        label = f"<small>{name}</small>" if name else ""
        assert re.fullmatch(rf"<div dir=.*><div dir=\"ltr\">{re.escape(label)}<pre>.*", html, re.S)
        assert re.sub("<[^>]*>", "", html.partition("<pre>")[2]).strip() == "x"


def test_cells_keep_their_side_where_styles_are_stripped() -> None:
    """GitHub drops styles and keeps `align`, and what is not aligned stands at the left there."""
    html = stripped(to_html("| a | b | c |\n|---|:-:|--:|\n| d | e | f |"))
    cells = re.findall(r"<t[hd]([^>]*)>(\w)", html)
    sides = {text: "".join(re.findall('align="(.*?)"', found)) for found, text in cells}
    assert sides == dict(zip("abcdef", ["", "center", "right"] * 2, strict=True))


def test_text_has_a_readable_line() -> None:
    """Paragraphs, lists and quotes get no wider than 46em, code and tables may; once a block."""
    html = to_html("a\n\n- b\n\n  c\n\n> d\n\n1. e\n\n|f|\n|-|\n|g|\n\n    h")
    tags = re.findall(r"<(\w+)[^>]*max-width:46em", html)
    assert tags == ["p", "ul", "blockquote", "ol"]


def test_headings_keep_their_order() -> None:
    """A heading is never smaller than those below it."""
    html = to_html("\n\n".join(f"{'#' * level} x" for level in range(1, 7)))
    assert re.findall(r"<h(\d)", html) == ["3", "4", "5", "6", "6", "6"]


def test_formulas_are_set_in_what_was_drawn_without() -> None:
    """It is then the same as what was drawn with them, coloured code and quoted tags included."""
    text = "$x$ `<span>` <span>\n\n```python\ndef f(): '<span>$y$'\n```\n\n| $z$ |\n|-|\n"
    assert with_typeset(fragment(text, typeset=False)) == fragment(text)


@pytest.mark.parametrize("address", ["/lab", "lab", "https", "//a.invalid/x", "#top", "?x", "..:x"])
def test_filter_keeps_no_relative_address(address: str) -> None:
    """Should the parser ever let one through, it leads nowhere; an absolute one stays."""
    assert "href" not in markdown._CLEANER.clean(f'<a href="{address}">a</a>')
    for kept in ("https://a.invalid", "HTTP://a.invalid", "mailto:a@b.invalid"):
        assert f'href="{kept}"' in markdown._CLEANER.clean(f'<a href="{kept}">a</a>')
