"""Code in an answer: its box, the name of its language, and its colours."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from html import escape
from typing import TYPE_CHECKING

from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Error, Keyword, Number, Operator, String
from pygments.token import _TokenType as TokenType
from pygments.util import ClassNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict
    from pygments.lexer import Lexer

# Some lexers backtrack; a longer listing stays without colours.
MAX_HIGHLIGHT = 50_000
_LANGUAGE = re.compile(r"[A-Za-z0-9_+#.-]{1,30}")
# A page may strip `var()` with JupyterLab's colours; this grey can be seen on light and on dark.
CODE_STYLE = "margin:0 0 1em;border:1px solid #8886;padding:0.5em;overflow-x:auto;background:none"
# JupyterLab breaks lines anywhere. Here they break at spaces, at no less than 39em, which are about
# 65 characters: nbconvert's page has room for them on A4 paper. A narrower page scrolls the box.
PRE_STYLE = "width:max-content;max-width:max(100%, 39em);word-break:normal;word-wrap:normal"
# What JupyterLab's editor colours, each family in one colour; neither names nor punctuation. A
# span around every token, as Pygments writes them, would make code many times its size.
COLOURS = {
    Comment: "c",
    Error: "err",
    Keyword: "k",
    Number: "m",
    Operator: "o",
    String: "s",
}


def html(
    _renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    _options: OptionsDict,
    _env: EnvType,
) -> str:
    """A block of code, with the name of its language above it."""
    token = tokens[index]
    lexer = _lexer(token.info.split(maxsplit=1)[0]) if token.info.strip() else None
    if lexer is None or len(token.content) > MAX_HIGHLIGHT:
        code = escape(token.content)
    else:
        code = _coloured(lexer.get_tokens(token.content))
    name = _language(token.info, lexer)
    label = f"<small>{escape(name)}</small>" if name else ""
    return (
        f'<div class="highlight" dir="ltr" style="{CODE_STYLE}">{label}'
        f'<pre style="{PRE_STYLE}"><code>{code}</code></pre></div>\n'
    )


def _language(info: str, lexer: Lexer | None) -> str:
    """The name to show above code: Pygments', or what the fence says if Pygments knows no such."""
    said = info.split(maxsplit=1)[0] if info.strip() else ""
    if lexer is None:
        return said if _LANGUAGE.fullmatch(said) else ""
    return "" if "text" in lexer.aliases else str(lexer.name)


def _coloured(tokens: Iterable[tuple[TokenType, str]]) -> str:
    """Code with a span around each run of what has one colour; white space joins any run."""
    runs: list[tuple[str, list[str]]] = [("", [])]
    for kind, text in tokens:
        name = runs[-1][0] if text.isspace() else _colour(kind)
        if name != runs[-1][0]:
            runs.append((name, []))
        runs[-1][1].append(escape(text, quote=False))
    return "".join(
        f'<span class="{name}">{"".join(parts)}</span>' if name else "".join(parts)
        for name, parts in runs
    )


@cache
def _colour(kind: TokenType) -> str:
    """The class of a kind of token, "" if a notebook does not colour it."""
    return next((name for family, name in COLOURS.items() if kind in family), "")


@lru_cache(maxsize=100)
def _lexer(name: str) -> Lexer | None:
    try:
        return get_lexer_by_name(name, stripnl=False) if _LANGUAGE.fullmatch(name) else None
    except ClassNotFound:
        return None
