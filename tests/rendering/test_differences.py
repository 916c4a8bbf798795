"""Two texts compared by words: what is removed, what is added, and what stays."""

import re
from collections.abc import Callable
from functools import partial
from html import unescape
from itertools import pairwise
from random import Random

import nh3
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.corpora import payloads, strings
from support.timing import calls_of, seconds_of

from mm_magic.rendering.differences import differences_bundle

_TAG = re.compile(r"<[^>]*>")
_BREAK = re.compile(r"<br>|</p>")


def compared(before: str, after: str, kind: str = "text/plain") -> str:
    """What is shown below the line that counts."""
    _, _, shown = str(differences_bundle(before, after)[kind]).partition("\n\n")
    return shown


def heading(before: str, after: str) -> str:
    return str(differences_bundle(before, after, "Turn 1")["text/plain"]).partition("\n\n")[0]


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("A deep lake.", "A cold lake.", "A [-deep-] {+cold+} lake."),
        ("A lake.", "A lake in Asia.", "A lake {+in Asia+}."),
        ("A lake. Deep.", "A lake. It is cold. Deep.", "A lake. {+It is cold.+} Deep."),
        ("A lake. It is cold. Deep.", "A lake. Deep.", "A lake. [-It is cold.-] Deep."),
        ("It costs 3.14.", "It costs 3.15.", "It costs [-3.14-]{+3.15+}."),
        ("I don't know.", "I do know.", "I [-don't-] {+do+} know."),
        ("a *b* c", "a **b** c", "a [-*b*-] {+**b**+} c"),
        ("a\n\nb\n\nc", "a\n\nc", "a\n\n[-b-]\n\nc"),
        ("x\n    y = 1\nz", "x\n    y = 2\nz", "x\n    y = [-1-] {+2+}\nz"),
        ("# One\n\nText.", "# Two\n\nText.", "# [-One-] {+Two+}\n\nText."),
        ("The **big** lake", "The big lake", "The [-**-]big[-**-] lake"),
        ("It is cold.", "It is cold and dark.", "It is cold {+and dark+}."),
        (
            "Rivers flow out.",
            "One outflow, no more.",
            "[-Rivers flow out-] {+One outflow, no more+}.",
        ),
        ("One.", "# Two\n\nThree", "[-One.-]\n\n{+# Two+}\n\n{+Three+}"),
        ("", "Words.", "{+Words.+}"),
        ("Words.", "", "[-Words.-]"),
    ],
)
def test_words(before: str, after: str, shown: str) -> None:
    """A word, a number and a run of one mark are each compared as one; lines stay as they are."""
    assert compared(before, after) == shown


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (
            "| oak | timber for ships |\n| elm | wheels of carts |",
            "| oak | floors, furniture |\n| elm | coffins, boats |",
            "| oak | [-timber for ships-] {+floors, furniture+} |\n"
            "| elm | [-wheels of carts-] {+coffins, boats+} |",
        ),
        (
            "- timber for ships\n- wheels of carts",
            "- floors, furniture\n- coffins, boats",
            "- [-timber for ships-] {+floors, furniture+}\n"
            "- [-wheels of carts-] {+coffins, boats+}",
        ),
        (
            "| oak | wood |\n| elm | boats |\n\nEnd.",
            "| oak | wood |\n| fir | trees |\n| ash | bows |\n\nEnd.",
            "| oak | wood |\n| [-elm | boats-]\n{+fir | trees |\n| ash | bows+} |\n\nEnd.",
        ),
        (
            "Rivers flow out.\n\nThe north stays cold.",
            "One outflow here.\n\nThe sea gets warmer.",
            "[-Rivers flow out.-]\n\n[-The north stays cold-]\n\n"
            "{+One outflow here.+}\n\n{+The sea gets warmer+}.",
        ),
    ],
    ids=["table", "list", "other rows", "paragraphs"],
)
def test_lines(before: str, after: str, shown: str) -> None:
    """Rows of a table and items of a list are compared one by one, but not paragraphs that begin
    alike by chance; what was removed ends before a line that was added begins."""
    assert compared(before, after) == shown


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("贝加尔湖是最深的湖。", "贝加尔湖是最大的湖。", "贝加尔湖是最[-深-]{+大+}的湖。"),
        ("湖は深いです。", "湖は古いです。", "湖は[-深-]{+古+}いです。"),
        ("ทะเลสาบลึก", "ทะเลสาบเก่า", "ทะเลสาบ[-ลึก-]{+เก่า+}"),
        ("호수는 깊다", "호수는 넓다", "호수는 [-깊다-]{+넓다+}"),
        ("बहुत गहरी झील", "बहुत पुरानी झील", "बहुत [-गहरी-] {+पुरानी+} झील"),
        ("البحيرة عميقة جدا", "البحيرة قديمة جدا", "البحيرة [-عميقة-] {+قديمة+} جدا"),
    ],
    ids=["Chinese", "Japanese", "Thai", "Korean", "Hindi", "Arabic"],
)
def test_scripts(before: str, after: str, shown: str) -> None:
    """Where words stand without spaces each character is compared, never without its marks."""
    assert compared(before, after) == shown


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("a b c", "a b", "[-1 word removed-]"),
        ("a b", "a c d", "[-1 word removed-], {+2 words added+}"),
        ("最深的湖", "最大的湖", "[-1 character removed-], {+1 character added+}"),
        ("a b", "a, b", "{+1 symbol added+}"),
        ("a b", " a b\n", "the same text."),
        ("a b", "a\n\nb", "the same words, with different spacing."),
        ("", " ", "the same text."),
    ],
)
def test_heading(before: str, after: str, told: str) -> None:
    """The first line counts, in the very marks that stand below; equal texts are one sentence."""
    assert heading(before, after) == f"Turn 1: {told}"
    if "same" in told:
        assert not compared(before, after)


def test_long_equal_passages() -> None:
    """Of these only what is around a change is shown, and how much was left out."""
    many = " ".join(f"w{n}" for n in range(200))
    shown = compared(f"{many} old {many} gone", f"{many} new {many}")

    assert shown.startswith("… 180 words the same … w180 ")
    assert " w199 [-old-] {+new+} w0 " in shown
    assert " w19 … 160 words the same … w180 " in shown
    assert shown.endswith("w199 [-gone-]")
    paragraphs = "\n\n".join(f"w{n}" for n in range(200))
    shown = compared(f"{paragraphs} old", f"x {paragraphs} new")
    assert "\n\nw19\n\n… 160 words the same …\n\nw180\n\n" in shown


@pytest.mark.parametrize(
    ("end", "gap", "shown_end", "shown_gap"),
    [
        (" end", "\n", " end", "\n"),
        (" end.", " ", " end.", " "),
        ("。", "", "。", " "),
        (" e.g", " ", "", " "),
    ],
)
def test_passages_are_cut_at_a_line_or_a_sentence(
    end: str, gap: str, shown_end: str, shown_gap: str
) -> None:
    """What is left out begins and ends where a line or a sentence does, if one does nearby."""
    first, last = (" ".join(f"{name}{n}" for n in range(50)) for name in "vw")
    first = first.replace(" v24 ", f" v24{end}{gap}", 1)
    last = last.replace(" w25 ", f" w25{end}{gap}", 1)

    shown = compared(f"old {first} {last} gone", f"new {first} {last} lost")

    if not shown_end:
        assert " v19 … " in shown
        return
    assert f" v24{shown_end}{shown_gap}… " in shown
    assert f" the same …{shown_gap}w26 " in shown


def test_unlike_texts_are_not_cut_to_pieces() -> None:
    """Words that two passages have in common by chance stay where they stand."""
    before = "The lake is deep and cold, and it lies in Siberia."
    after = "Baikal holds a fifth of the fresh water and is the oldest one on Earth."

    assert compared(before, after).count("{+") <= 2


_WORDS = st.lists(st.sampled_from(["a", "bee", "cider", ".", "湖", "深", "\n", "\n\n", "**"]))


def undone(html: str, removed: str) -> list[str]:
    """The words that are left without these elements."""
    html = re.sub(rf"<{removed}\b.*?</{removed}>", "", html)
    return unescape(_TAG.sub("", _BREAK.sub("\n", html))).split()


@settings(max_examples=200, deadline=None)
@given(_WORDS, _WORDS)
@example(["a"] * 30, ["a", "bee"] * 15)
@example(["a", ".", "bee", "."], ["a", ".", "cider", ".", "bee", "."])
def test_nothing_is_lost(before: list[str], after: list[str]) -> None:
    """Without what is added it is the one text, without what is removed the other."""
    texts = " ".join(before).strip(), " ".join(after).strip()
    html = str(differences_bundle(*texts)["text/html"]).partition("</small></p>")[2]
    if not html.removesuffix("</div>"):
        assert texts[0].split() == texts[1].split()
        return
    assert "".join(undone(html, "ins")) == "".join(texts[0].split())
    assert "".join(undone(html, "del")) == "".join(texts[1].split())


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</del></p><b>x",
    "[x](javascript:alert(1)) ![x](http://x/y.png)",
    "$$\\input{/etc/passwd}$$ \\(x\\)",
    "\x1b[31mred\x1b[0m \u202egnirts",
    "&lt;b&gt; &#x202e; ~~~\n```{=html}\n<b>\n```",
    "\ud800 half",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts(text: str) -> None:
    """They are shown as the text that they are, in each form."""
    for bundle in (differences_bundle(text, "other"), differences_bundle("other", text)):
        html, markdown = str(bundle["text/html"]), str(bundle["text/markdown"])
        assert set(re.findall(r"</?(\w+)", html)) <= {"div", "p", "small", "del", "ins", "br", "em"}
        assert set(_elements(MarkdownIt("gfm-like", {"linkify": False}).render(markdown))) <= {
            "p", "s", "strong", "em", "br",
        }  # fmt: skip
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", str(bundle))


def _elements(html: str) -> list[str]:
    return re.findall(r"<(\w+)", html)


@pytest.mark.parametrize("texts", [payloads, strings])
def test_naughty_strings(texts: Callable[[], list[str]]) -> None:
    """No text makes anything of the page but the elements of a comparison."""
    for before, after in pairwise(texts()):
        html = str(differences_bundle(before, after)["text/html"])
        assert set(_elements(html)) <= {"div", "p", "small", "del", "ins", "br", "em"}


def test_readable_without_styles() -> None:
    """GitHub drops the styles: what was removed is still struck out, the paragraphs stand."""
    html = str(differences_bundle("One lake.\n\nDeep.", "One sea.\n\nDeep.")["text/html"])
    shown = nh3.clean(html, tags={"p", "del", "ins", "div", "small", "em"}, attributes={})

    assert "<p>One <del>lake</del><ins>sea</ins>.</p><p>Deep.</p>" in shown


@pytest.mark.parametrize("mark", ["**", "`", "~~", "“x”", "(x)", "$x$", "1.", "# x", "- x", "> x"])
def test_markdown_shows_the_text(mark: str) -> None:
    """Its Markdown form reads as the texts do: struck out, bold, and nothing else."""
    markdown = str(differences_bundle(f"{mark} one", f"two {mark}")["text/markdown"])
    html = MarkdownIt("gfm-like", {"linkify": False}).render(markdown)

    text = unescape(_TAG.sub("", html)).replace("\u2060", "")
    for part in [*mark.split(), "one", "two"]:
        assert part in text
    assert "<strong>" in html
    assert "~~" not in text.replace(mark, "")


def _some(random: Random, words: str, number: int) -> list[str]:
    return [random.choice(words) for _ in range(number)]


def test_long_unlike_texts_cost_little() -> None:
    """Nothing is compared by the square of its length."""
    random = Random(1)
    before, after = (" ".join(_some(random, "ab", 3_000)) for _ in range(2))

    assert calls_of(lambda: differences_bundle(before, after)) < 200_000


def _edited(random: Random, words: list[str]) -> list[str]:
    kept = [word for word in words if random.random() > 0.05]
    return [f"n{random.randrange(3_000)}" if random.random() < 0.05 else word for word in kept]


@pytest.mark.timed
def test_time() -> None:
    """Two answers of 20,000 words are compared within 5 s, whatever their words are."""
    random = Random(1)
    words = [f"w{int(random.paretovariate(0.7)) % 3_000}" for _ in range(20_000)]
    parts = [" ".join([f"u{n}", *_some(random, "ab", 299)]) for n in range(60)]
    others = [" ".join([f"u{n}", *("ba" * 75), *("aabb" * 37)]) for n in range(60)]
    pairs = [(words, _edited(random, words)), (words, words[::-1]), (parts, others)]
    for before, after in pairs:
        texts = " ".join(before), " ".join(after)
        assert seconds_of(partial(differences_bundle, *texts), rounds=1) < 5
