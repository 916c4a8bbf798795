"""How one text differs from another, by words, as a MIME bundle.

The texts are shown as they were written: where only the markup differs, that is seen. What is
removed is struck out and what is added is underlined, so that no colour is needed to read it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple, TypeAlias

from mm_magic.rendering.alignment import common
from mm_magic.rendering.bundles import Bundle
from mm_magic.rendering.markdown import IGNORE, READABLE, escaped
from mm_magic.wording import counted, plain

Kind: TypeAlias = Literal["same", "removed", "added", "left out"]

_LONGEST_SAME = 60
"""Words that stand in both texts; of more of them only `_AROUND` are shown on each side."""
_AROUND = 20
_NEAR = 10
"""Words by which those are more or fewer, so that a line or a sentence is whole."""
_SHORTEST_SAME = 4
"""So many words between changes that are longer than they are belong to the changes, unless a line
begins with them: a table's rows and a list's items are compared one by one."""

# Scripts without spaces between words: there a character is compared as a word is.
_NO_GAPS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u2e80-\u2fdf\u3005-\u3007"
    "\u3021-\u3029\u3031-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\ua4cf\ua9e0-\ua9ff"
    "\uaa60-\uaadf\uf900-\ufaff\uff66-\uff9f\U0001aff0-\U0001b16f\U00020000-\U0003fffd"
)
_MARKS = (  # what is drawn upon the character before it, in those scripts
    "\u0300-\u036f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e"
    "\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f"
    "\u109a-\u109d\u17b4-\u17d3\u17dd\u1a17-\u1a1b\u1a55-\u1a7f\u200d\u3099\u309a\ua9e5"
    "\uaa7b-\uaa7d\uaab0-\uaabf\ufe00-\ufe0f\ufe20-\ufe2f\U000e0100-\U000e01ef"
)
_PUNCTUATION = (
    "!-/:-@\\[-`{-~\xa1-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\u2010-\u2027\u2030-\u205e\u2190-\u23ff"
    "\u3001-\u3003\u3008-\u3020\u3030\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_ENDS, _WIDE_ENDS = ".!?…", "。！？"  # of a sentence; the latter need no space behind them
_JOINS = r"(?<=\d)[.,](?=\d)|(?<=\w)['’](?=\w)"  # 3.14, 1,000, don't
_TOKEN = re.compile(
    rf"(?P<word>[{_NO_GAPS}][{_MARKS}]*"
    rf"|(?:[^\s{_PUNCTUATION}{_NO_GAPS}]|{_JOINS})+"
    rf"|(?P<mark>[{_PUNCTUATION}])(?P=mark)*)(?P<gap>\s*)"
)
_CHARACTER = re.compile(f"[{_NO_GAPS}]")
_BLANK_LINES = re.compile(r"[^\S\n]*\n\s*\n")
_EDGES = re.compile(r"(\s*)(.*?)(\s*)", re.DOTALL)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~$&:@=^])")
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)

_REMOVED_STYLE = "background:#f8514926"
_ADDED_STYLE = "background:#2ea04326"


class _Token(NamedTuple):
    """A word, a mark or a character, and the white space behind it."""

    word: str
    gap: str


@dataclass(slots=True)
class _Stretch:
    """What stands in the one text and in the other; the words are the same, or others."""

    is_same: bool
    before: list[_Token]
    after: list[_Token]


class _Piece(NamedTuple):
    """A part of what is shown."""

    kind: Kind
    text: str


class _Compared(NamedTuple):
    """A sentence on how two texts differ, and the paragraphs of both together."""

    heading: Sequence[_Piece]
    paragraphs: Sequence[Sequence[_Piece]]


def differences_bundle(before: str, after: str, title: str = "") -> Bundle:
    """Return how `after` differs from `before`: one sentence where it doesn't.

    `title` says what is compared.
    """
    return _bundle(_compared(before, after, title))


def several_differences(compared: Sequence[tuple[str, str, str]], note: str = "") -> Bundle:
    """Return the same of several pairs of texts, each with its title, one below the other.

    Of more than one the sentences are shown, and the texts are folded. `note` comes last.
    """
    is_folded = len(compared) > 1
    bundles = [_bundle(_compared(*each), is_folded=is_folded) for each in compared]
    if note:
        bundles.append(_bundle(_Compared([_Piece("same", note)], [])))
    between = {"text/html": "", "text/markdown": "\n", "text/plain": "\n\n"}
    return {mime: gap.join(str(each[mime]) for each in bundles) for mime, gap in between.items()}


def _compared(before: str, after: str, title: str) -> _Compared:
    before, after = plain(before).strip(), plain(after).strip()
    stretches = _without_short(_stretches(_tokens(before), _tokens(after)))
    changed = [each for each in stretches if not each.is_same]
    if changed:
        heading = [_Piece("same", title and f"{title}: "), *_summary(changed)]
        return _Compared(heading, _paragraphs(_pieces(stretches)))
    how = "the same text" if before == after else "the same words, with different spacing"
    told = f"{title}: {how}." if title else f"{how.capitalize()}."
    return _Compared([_Piece("same", told)], [])


def _tokens(text: str) -> list[_Token]:
    return [_Token(found["word"], found["gap"]) for found in _TOKEN.finditer(text)]


def _is_word(token: str) -> bool:
    return any(map(str.isalnum, token))


# -- what is the same -------------------------------------------------------------------------


def _stretches(before: list[_Token], after: list[_Token]) -> Iterator[_Stretch]:
    """What is the same and what is not, in order, one after the other."""
    words, words_after = [each.word for each in before], [each.word for each in after]
    pairs = _slid(common(words, words_after), words, words_after)
    same: list[tuple[int, int]] = []
    i = j = 0
    for a, b in [*pairs, (len(before), len(after))]:
        if (a, b) != (i, j) or a == len(before):
            if same:
                yield _Stretch(True, before[same[0][0] : i], after[same[0][1] : j])
                same = []
            if (a, b) != (i, j):
                yield _Stretch(False, before[i:a], after[j:b])
        same.append((a, b))
        i, j = a + 1, b + 1


def _slid(
    pairs: Sequence[tuple[int, int]], before: Sequence[str], after: Sequence[str]
) -> Iterator[tuple[int, int]]:
    """The same, with marks as early as they can be: "a. b." is "a." with "b." behind it."""
    i = j = 0
    for a, b in pairs:
        word = before[a]
        if not _is_word(word):
            a = i if b == j and before[i] == word else a
            b = j if a == i and after[j] == word else b
        yield a, b
        i, j = a + 1, b + 1


def _without_short(stretches: Iterable[_Stretch]) -> list[_Stretch]:
    """The same, without the few words that two unlike passages have in common by chance."""
    found: list[_Stretch] = []
    for each in stretches:
        if len(found) > 1 and not each.is_same and _is_by_chance(found[-2], found[-1], each):
            same = found.pop()
            found[-1].before += same.before + each.before
            found[-1].after += same.after + each.after
        else:
            found.append(each)
    return found


def _is_by_chance(changed: _Stretch, same: _Stretch, behind: _Stretch) -> bool:
    size = sum(len(each.word) for each in same.after)
    return (
        len(same.after) <= _SHORTEST_SAME
        and not (
            _begins_line(changed.before, same.before) and _begins_line(changed.after, same.after)
        )
        and all(
            _is_as_long(each.before, size) or _is_as_long(each.after, size)
            for each in (changed, behind)
        )
    )


def _begins_line(changed: Sequence[_Token], same: Sequence[_Token]) -> bool:
    """Whether a line begins with a word of `same`, and no paragraph; `changed` comes before it."""
    gaps = [each.gap for each in (*changed[-1:], *same[:-1])]
    return any("\n" in gap and not _BLANK_LINES.search(gap) for gap in gaps)


def _is_as_long(tokens: Iterable[_Token], size: int) -> bool:
    """Whether the words have so many characters; a long row of them is not read to its end."""
    return any(so_far >= size for so_far in accumulate(len(each.word) for each in tokens))


# -- what is shown ----------------------------------------------------------------------------


def _summary(changed: Sequence[_Stretch]) -> Iterator[_Piece]:
    """How much was removed and added; it shows how the one and the other is marked, too."""
    removed = [token for each in changed for token in each.before]
    added = [token for each in changed for token in each.after]
    if removed:
        yield _Piece("removed", f"{_how_much(removed)} removed")
    if removed and added:
        yield _Piece("same", ", ")
    if added:
        yield _Piece("added", f"{_how_much(added)} added")


def _how_much(tokens: Sequence[_Token]) -> str:
    words = [each.word for each in tokens if _is_word(each.word)]
    if not words:
        return counted(len(tokens), "symbol")
    characters = sum(1 for word in words if _CHARACTER.match(word))
    return counted(len(words), "character" if 2 * characters > len(words) else "word")


def _pieces(stretches: Sequence[_Stretch]) -> Iterator[_Piece]:
    last = len(stretches) - 1
    for place, each in enumerate(stretches):
        if not each.is_same:
            yield from _changed(_text(each.before), _text(each.after))
            continue
        behind = stretches[place + 1] if place < last else None
        if behind and behind.before and not (behind.after and each.after[-1].gap):
            each.after[-1] = each.before[-1]  # the white space before what is removed
        yield from _shortened(each.after, is_first=place == 0, is_last=place == last)


def _changed(removed: str, added: str) -> Iterator[_Piece]:
    """Both, one behind the other; on one line where neither has more than one."""
    if removed and added:
        both = f"{removed.strip()}|{added.strip()}"
        gap = removed[len(removed.rstrip()) :]
        if _BLANK_LINES.search(both):
            gap = "\n\n"
        elif "\n" in both:
            gap = "\n"
        else:
            gap = " " if gap or " " in both else ""
        removed = removed.rstrip() + gap
    yield from _edged("removed", removed)
    yield from _edged("added", added)


def _edged(kind: Kind, text: str) -> Iterator[_Piece]:
    """A text, and white space around it by itself."""
    found = _EDGES.fullmatch(text)
    assert found is not None
    parts: Mapping[int, Kind] = {1: "same", 2: kind, 3: "same"}
    yield from (_Piece(parts[n], found[n]) for n in parts if found[n])


def _shortened(tokens: list[_Token], *, is_first: bool, is_last: bool) -> Iterator[_Piece]:
    """What is the same: of a long passage its beginning and its end."""
    if len(tokens) <= _LONGEST_SAME:
        yield _Piece("same", _text(tokens))
        return
    start = 0 if is_first else _place_to_cut(tokens, _AROUND)
    end = len(tokens) if is_last else _place_to_cut(tokens, len(tokens) - _AROUND)
    left_out = tokens[start:end]
    gap = "\n\n" if _BLANK_LINES.search(_text(left_out)) else ""
    if start:
        before = gap or _gap_of_line(tokens[start - 1])
        yield _Piece("same", _text(tokens[:start]).rstrip() + before)
    yield _Piece("left out", f"… {_how_much(left_out)} the same …")
    if end < len(tokens):
        yield _Piece("same", (gap or _gap_of_line(tokens[end - 1])) + _text(tokens[end:]))


def _place_to_cut(tokens: Sequence[_Token], wanted: int) -> int:
    """The end of a line that is nearest to this place, else that of a sentence, else the place."""
    near = sorted(range(wanted - _NEAR, wanted + _NEAR + 1), key=lambda place: abs(place - wanted))
    for ends in (_ends_line, _ends_sentence):
        for place in near:
            if ends(tokens[place - 1]):
                return place
    return wanted


def _ends_line(token: _Token) -> bool:
    return "\n" in token.gap


def _ends_sentence(token: _Token) -> bool:
    return token.word[-1] in _WIDE_ENDS or (token.word[-1] in _ENDS and token.gap != "")


def _gap_of_line(token: _Token) -> str:
    return "\n" if _ends_line(token) else " "


def _text(tokens: Iterable[_Token]) -> str:
    return "".join(each.word + each.gap for each in tokens)


def _paragraphs(pieces: Iterable[_Piece]) -> list[list[_Piece]]:
    """The pieces, cut at blank lines."""
    found: list[list[_Piece]] = [[]]
    for kind, text in pieces:
        first, *more = _BLANK_LINES.split(text)
        for n, part in enumerate([first, *more]):
            if n:
                found.append([])
            if part:
                found[-1].append(_Piece(kind, part))
    return [each for each in found if each]


# -- how it is drawn --------------------------------------------------------------------------


def _bundle(compared: _Compared, *, is_folded: bool = False) -> Bundle:
    heading, paragraphs = compared
    html = _html(compared, is_folded=is_folded)
    return {
        "text/html": f'<div class="mm-differences {IGNORE}">{html}</div>',
        "text/markdown": "\n\n".join(_drawn(each, _MD) for each in [heading, *paragraphs]) + "\n",
        "text/plain": "\n\n".join(_drawn(each, _PLAIN) for each in [heading, *paragraphs]),
    }


def _html(compared: _Compared, *, is_folded: bool) -> str:
    told = f"<small>{_drawn(compared.heading, _HTML)}</small>"
    body = "".join(f'<p dir="auto">{_drawn(each, _HTML)}</p>' for each in compared.paragraphs)
    shown = f'<div style="{READABLE};white-space:pre-wrap">{body}</div>' if body else ""
    if is_folded and shown:
        return (
            f'<details style="margin:.4em 0"><summary dir="auto">{told}</summary>{shown}</details>'
        )
    return f'<p dir="auto">{told}</p>{shown}'


def _drawn(pieces: Iterable[_Piece], how: Mapping[Kind, Callable[[str], str]]) -> str:
    return "".join(how[kind](text) for kind, text in pieces).strip("\n")


def _as_markdown(text: str) -> str:
    """The text itself: nothing in it is markup, and its lines stay."""
    text = _INDENT.sub(lambda found: "\xa0" * len(found[0].expandtabs(4)), text)
    return _MARKDOWN.sub(r"\\\1", text).replace("\n", "\\\n")


def _in_markdown(mark: str) -> Callable[[str], str]:
    def drawn(text: str) -> str:
        # A mark opens and closes beside anything but white space and punctuation.
        joined = re.sub(r"^(?=[\W_])|(?<=[\W_])$", "\u2060", text)
        return f"{mark}{_as_markdown(joined)}{mark}"

    return drawn


_HTML: Mapping[Kind, Callable[[str], str]] = {
    "same": escaped,
    "removed": lambda text: f'<del style="{_REMOVED_STYLE}">{escaped(text)}</del>',
    "added": lambda text: f'<ins style="{_ADDED_STYLE}">{escaped(text)}</ins>',
    "left out": lambda text: f'<em style="opacity:.75">{escaped(text)}</em>',
}
_MD: Mapping[Kind, Callable[[str], str]] = {
    "same": _as_markdown,
    "removed": _in_markdown("~~"),
    "added": _in_markdown("**"),
    "left out": lambda text: f"*{text}*",
}
_PLAIN: Mapping[Kind, Callable[[str], str]] = {
    "same": plain,
    "removed": lambda text: f"[-{text}-]",
    "added": lambda text: f"{{+{text}+}}",
    "left out": plain,
}
