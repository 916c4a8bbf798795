"""What models write beyond CommonMark, drawn as it is meant."""

from __future__ import annotations

import re

import pytest
from support import hostile
from support.timing import calls_of

from mm_magic.rendering.bundles import finished_bundles
from mm_magic.rendering.markdown import fragment, to_html

FILLER = "A paragraph that only takes up room, as long answers have many of them.\n\n" * 150
MEANT = {"K3", "K4", "K14", "K15", "K16"}


def bare(html: str) -> str:
    """The HTML without the attributes that every element has, and the target of links."""
    return re.sub(r' (?:dir|style|target|rel)="[^"]*"', "", html)


def drawn(text: str) -> str:
    return bare(fragment(text)).strip()


def line(text: str) -> str:
    """What is drawn of one paragraph."""
    html = drawn(text)
    assert html.startswith("<p>")
    assert html.endswith("</p>")
    return html[3:-4]


def visible(html: str) -> str:
    return re.sub("<[^>]*>", "", html)


def test_real_answers_are_drawn_as_they_are_meant() -> None:
    """Each answer has in its HTML what it must have, and nothing that it must not."""
    for case in hostile.load("real-world/answers.json"):
        if case["kind"] not in MEANT:
            continue
        parts = finished_bundles(
            "", "", case["text"].replace("@@FILL@@", FILLER), hide_thinking=False
        )
        html = "\n".join(str(part["text/html"]) for part in parts)
        assert all(re.search(each, html) for each in case.get("has", [])), case["id"]
        assert not any(re.search(each, html) for each in case.get("not", [])), case["id"]
        assert all(re.search(each, visible(html)) for each in case.get("shows", [])), case["id"]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**注意：**请先备份。", "<strong>注意：</strong>请先备份。"),
        ("请看**「重点」**吧", "请看<strong>「重点」</strong>吧"),
        ("这是**“引号”**的", "这是<strong>“引号”</strong>的"),
        ("*強調（きょうちょう）*です", "<em>強調（きょうちょう）</em>です"),
        ("이것은 **강조(emphasis)**입니다", "이것은 <strong>강조(emphasis)</strong>입니다"),
        ("***重要。***后", "<em><strong>重要。</strong></em>后"),
        ("__注意：__请 _强调。_后", "<strong>注意：</strong>请 <em>强调。</em>后"),
        ("~~删除。~~后", "<s>删除。</s>后"),
        ("**`代码`**后 **[链接](https://x.invalid)**后", None),
        ("ｶﾀｶﾅ**「ｶﾅ」**ﾃﾞｽ", "ｶﾀｶﾅ<strong>「ｶﾅ」</strong>ﾃﾞｽ"),
        ('กด**"บันทึก"**ครับ', "กด<strong>“บันทึก”</strong>ครับ".translate({0x201C: 34, 0x201D: 34})),
        ("**သတိ။**ဒီမှာ", "<strong>သတိ။</strong>ဒီမှာ"),
        ("日本_語_の snake_case_name 2 ** 3", "日本_語_の snake_case_name 2 ** 3"),
        ("**Done ✅**and b", "**Done ✅**and b"),  # emoji are wide, but as before
    ],
)
def test_emphasis_beside_full_width_punctuation(text: str, html: str | None) -> None:
    """In scripts that put no space beside punctuation, emphasis needs none."""
    if html is None:
        assert "*" not in line(text)
        assert line(text).count("<strong>") == 2
    else:
        assert line(text) == html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("H<sub>2</sub>O, x<sup>2</sup>", "H<sub>2</sub>O, x<sup>2</sup>"),
        ("a<br>b<BR/>c<br />d", "a<br>b<br>c<br>d"),
        ("<kbd>Ctrl</kbd>+<KBD>C</KBD>", "<kbd>Ctrl</kbd>+<kbd>C</kbd>"),
        ("<u>*a*</u> <mark>b</mark> <small>c</small>", None),
        ("**<b>a</b>** <b>**c**</b>", "<strong><b>a</b></strong> <b><strong>c</strong></b>"),
        ("<b>a", "&lt;b&gt;a"),
        ("a</b> </br>", "a&lt;/b&gt; &lt;/br&gt;"),
        ("<i><b>a</i></b>", "<i>&lt;b&gt;a</i>&lt;/b&gt;"),
        ("*<b>a*</b>", "<em>&lt;b&gt;a</em>&lt;/b&gt;"),
        ("[<sub>a](https://x.invalid)</sub>", None),
        ('<b class="x">a</b>', '&lt;b class="x"&gt;a&lt;/b&gt;'),
        ("<b onclick=x>a <script>b", "&lt;b onclick=x&gt;a &lt;script&gt;b"),
        ("`<b>a</b>` \\<b>c", "<code>&lt;b&gt;a&lt;/b&gt;</code> &lt;b&gt;c"),
        ("a <hr> b", "a &lt;hr&gt; b"),
    ],
)
def test_harmless_tags_mean_what_they_mean(text: str, html: str | None) -> None:
    """A tag without attributes, closed in its block, is an element; all else is text."""
    if html is None:
        opened = re.findall(r"<(sub|u|mark|small)>", line(text))
        assert opened == ([] if "sub" in text else ["u", "mark", "small"])
    else:
        assert line(text) == html


def test_a_tag_does_not_reach_beyond_its_block() -> None:
    """What one item, cell or paragraph opens, another can't close."""
    for text in ("- <b>a\n- b</b>", "<b>a\n\nb</b>", "|<b>a|b</b>|\n|---|---|", "# <u>a\n\n</u>"):
        assert "<b>" not in drawn(text)
        assert "<u>" not in drawn(text)
    assert drawn("<hr>\n\na\n\n- <hr/>") == "<hr>\n<p>a</p>\n<ul>\n<li><hr></li>\n</ul>"
    assert "First<br>Second" in drawn("| Do |\n|---|\n| First<br>Second |")


@pytest.mark.parametrize(
    ("text", "address", "behind"),
    [
        ("https://a.invalid/_x_/guide_one/ b", "https://a.invalid/_x_/guide_one/", " b"),
        ("https://a.invalid/b*c*d_ e", "https://a.invalid/b*c*d_", " e"),
        ("见https://a.invalid/x_y_z，后", "https://a.invalid/x_y_z", "，后"),
        ("（https://a.invalid/x）。", "https://a.invalid/x", "）。"),
        ("「https://a.invalid/x」", "https://a.invalid/x", "」"),
        ("https://a.invalid/x。", "https://a.invalid/x", "。"),
        ("https://a.invalid/x؟ ب", "https://a.invalid/x", "؟ ب"),
        ("https://a.invalid/x…", "https://a.invalid/x", "…"),
        ("(https://a.invalid/b_(c)), d", "https://a.invalid/b_(c)", "), d"),
        ("https://a.invalid/x. B", "https://a.invalid/x", ". B"),
        ('"https://a.invalid/x"', "https://a.invalid/x", '"'),
        ("HTTP://a.invalid:80/?a=1&b=_c_#d!", "HTTP://a.invalid:80/?a=1&b=_c_#d", "!"),
        ("见www.a.invalid/_x_/y_z。", "www.a.invalid/_x_/y_z", "。"),
        ("https://a.invalid/维基_x_", "https://a.invalid/维基_x_", ""),
        ("https://hi.invalid/हिन्दी_x_ y", "https://hi.invalid/हिन्दी_x_", " y"),
    ],
)
def test_a_bare_address_is_a_link_as_written(text: str, address: str, behind: str) -> None:
    """A bare address keeps its underscores and asterisks, and ends before punctuation."""
    found = re.search(r'<a href="([^"]*)">([^<]*)</a>(.*)', line(text))
    assert found is not None
    assert found[2].replace("&amp;", "&") == address
    assert found[3] == behind


def test_an_address_ends_with_the_emphasis_around_it() -> None:
    """Marks that close emphasis don't belong to the address."""
    assert "<strong>看<a" in line("**看https://a.invalid/x_y**请")
    assert "</a></strong>请" in line("**看https://a.invalid/x_y**请")
    assert line("_https://a.invalid/x_y_").startswith("<em><a")
    assert line("*https://a.invalid/x*, b").endswith("</a></em>, b")


def test_what_is_no_web_address_is_no_link() -> None:
    """Other schemes, code, and what would be shown as another address stay text."""
    for text in (
        *("javascript://a.invalid/x", "file:///etc/passwd", "ahttps://a.invalid", "https://"),
        *("www.", "www..a", "xwww.a.invalid", "www. a", "a.www.invalid"),
        *("`https://a.invalid/_x_`", "https://a.invalid/b\u200bc", "https\\://a.invalid"),
    ):
        assert "<a" not in drawn(text)
    assert drawn("[https://a.invalid/_x_](https://b.invalid)").count("<a") == 1
    assert ">https://a.invalid/_x_</a>" in drawn("[https://a.invalid/_x_](https://b.invalid)")
    assert ">https://xn--" in drawn("https://раураl.invalid/")


@pytest.mark.parametrize(
    ("entity", "shown"),
    [
        ("&#x202e;", "\ufffd"),
        ("&#8238;", "\ufffd"),
        ("&#x2066;", "\ufffd"),
        ("&rlm;", "\u200f"),
        ("&#917569;", ""),
        ("&#27;", "\ufffd"),
        ("&zwj;", "\u200d"),
        ("&amp;", "&amp;"),
    ],
)
def test_an_entity_shows_what_its_character_shows(entity: str, shown: str) -> None:
    """Reordering and control characters written as entities don't reach the page either."""
    assert line(f"a{entity}b") == f"a{shown}b"
    title = drawn(f'[x](https://x.invalid "a{entity}b")').partition('title="')[2]
    assert title.startswith(f"a{shown}b" if entity != "&#27;" else "a&amp;#27;b")
    assert "&amp;#x202e;" in drawn("`&#x202e;`")


def test_task_boxes_are_shown() -> None:
    """`[ ]` and `[x]` at the beginning of an item are boxes that nobody can tick."""
    html = drawn("- [ ] a\n- [x] **b**\n1. [X] c\n2. d [x]\n\n[ ] e")
    assert "<li>☐ a</li>" in html
    assert "<li>☑ <strong>b</strong></li>" in html
    assert "<li>☑ c</li>" in html
    assert "d [x]" in html
    assert "<p>[ ] e</p>" in html
    assert "input" not in html


@pytest.mark.parametrize(
    "text",
    [
        "1. x\n   - y\n   {}",
        "- a\n  - b:\n{}",
        "- a\n    - b:\n    {}",
        "1. a\n  {}",
        "1. a\n   - b\n     {}",
        "> - a\n> {}",
    ],
)
def test_a_table_ends_the_item_that_it_is_indented_less_than(text: str) -> None:
    """A table right below a list item is a table, not more of the item's text."""
    start = text.rpartition("\n")[2].format("")
    table = f"\n{start}".join(["| a | b |", "|---|---|", "| 1 | 2 |"])
    html = drawn(text.format(table))
    assert html.count("<table>") == 1
    assert "|" not in html
    assert "<table>" not in drawn("- a\n| b | c\nd")


def test_footnotes_are_raised() -> None:
    """A footnote's mark is raised, and stands again before its text; others stay text."""
    html = drawn(
        "A[^1], b[^note], c[^no], [^1-9].\n\n[^1]: First *one*.\n[^note]: https://x.invalid/a\n"
    )
    assert "A<sup>[1]</sup>, b<sup>[note]</sup>, c[^no], [^1-9]." in html
    assert "<p><sup>[1]</sup> First <em>one</em>.<br>\n<sup>[note]</sup> <a" in html


def pages(text: str) -> list[str]:
    return [
        bare(str(each["text/html"])) for each in finished_bundles("", "", text, hide_thinking=False)
    ]


def test_links_and_footnotes_resolve_on_every_page() -> None:
    """What is defined on one page of an answer holds on all; the first definition counts."""
    ends = (
        '[a]: https://x.invalid/$b$c "t"\n[1]: javascript:x\n[^n]: Note.\n[a]: https://y.invalid\n'
    )
    for text in (f"{{}}\n\n{FILLER}{ends}", f"{ends}\n{FILLER}{{}}\n"):
        first, *_, last = pages(text.format("See [the *docs*][a], [a], [b][1], c[^n]."))
        page = first if text.startswith("{") else last
        assert '<a href="https://x.invalid/$b$c" title="t">the <em>docs</em></a>, <a' in page
        assert "[b][1], c<sup>[n]</sup>." in page


@pytest.mark.parametrize("unit", ["[x][a] ", "[^1] ", "[^1]: a\n\n", "[a]: https://x.invalid\n\n"])
def test_definitions_take_linear_work(unit: str) -> None:
    """Twice the references or definitions take twice the work."""

    def draw(size: int) -> None:
        pages(f"{unit * (size // len(unit))}\n\n[a]: https://x.invalid\n")

    assert calls_of(lambda: draw(20_000)) < 2.6 * calls_of(lambda: draw(10_000))


def test_an_answer_that_defines_nothing_is_drawn_as_before() -> None:
    """The pages of an answer don't depend on each other without definitions."""
    assert to_html("[a] and [b][c]") == (
        '<div class="mm-answer mathjax_ignore tex2jax_ignore" dir="auto">'
        '<p dir="auto" style="max-width:46em">[a] and [b][c]</p>\n</div>'
    )
