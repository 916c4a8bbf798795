"""A formula without what reaches beyond it, and with text that MathJax takes as text."""

from __future__ import annotations

import re

# Commands that reach beyond the formula: links, styles, classes, ids, loaded code, files (when
# the notebook is made into LaTeX), and definitions, which hold for the whole page.
UNSAFE_TEX = re.compile(
    r"\\(?:href|url|style|class|cssId|data|bbox|unicode|require|mmlToken|csname|catcode|special"
    r"|includegraphics|[A-Za-z]*[Ii]nput[A-Za-z]*|include|openin|openout|read|write|immediate|usepackage"
    r"|[egx]?def|let|futurelet|(?:re)?new(?:command|environment)|providecommand"
    r"|Declare[A-Za-z]+|Newextarrow)(?![A-Za-z])"
)
# What remains of these has no argument that could be dropped with it.
_REACHES_OUT = re.compile(r"\\(?:label|ref|eqref)(?![A-Za-z])")
_NAMED = re.compile(
    r"\\(?:(?P<dropped>label|require)|(?P<ref>eqref|ref))[ \t\n]*\{(?P<name>[^{}]*)\}|\\.",
    re.DOTALL,
)
_TEXT_COMMAND = re.compile(r"\\(?:text[a-z]*|mbox|[hf]box|tag\*?)[ \t\n]*(?=\{)")
_IN_TEXT = re.compile(r"(?P<command>\\(?:[A-Za-z]+\*?|.))|[{}$_^&#%]", re.DOTALL)
# In text MathJax 3 takes each of these for a slip, and MathJax 2 shows the backslash before them.
_AS_MATH = {character: rf"\(\{character}\)" for character in "_&#%"} | {"^": r"\(\unicode{x5E}\)"}


def contained(formula: str) -> str | None:
    """Return the formula without labels and the loading of code, and with references as text.

    None if something else in it reaches beyond it. MathJax keeps labels for the whole page: a
    second formula with the same one would be an error.
    """
    formula = _NAMED.sub(_without_name, formula)
    if UNSAFE_TEX.search(formula) or _REACHES_OUT.search(formula.replace("\\\\", "")):
        return None
    return _with_plain_text(formula) if _TEXT_COMMAND.search(formula) else formula


def _without_name(command: re.Match[str]) -> str:
    if command["ref"]:
        name = f"({command['name']})" if command["ref"] == "eqref" else command["name"]
        return rf"\text{{{name}}}"
    # Nothing, but that a letter behind it must not go on with the command before it.
    gap = " " if command.string[command.end() : command.end() + 1].isalpha() else ""
    return gap if command["dropped"] else command[0]


def _with_plain_text(formula: str) -> str:
    """Write the characters that are special in math alone so that text shows them."""
    parts: list[str] = []
    groups: list[str] = [""]  # "text", "math" or "" of the braces that are open
    position = 0
    is_text_next = False
    for token in _IN_TEXT.finditer(formula):
        found, between = token[0], formula[position : token.start()]
        parts.append(between)
        position = token.end()
        is_text = groups[-1] == "text"
        if found == "{":
            groups.append("text" if is_text_next or is_text else "")
        elif found == "}" and len(groups) > 1:
            groups.pop()
        elif (found == "$" or found == r"\(") and is_text:
            groups.append("math")
        elif found in ("$", r"\)") and groups[-1] == "math":
            groups.pop()
        elif is_text:
            found = _AS_MATH.get(found, found)
        is_text_next = bool(_TEXT_COMMAND.match(f"{found}{{"))
        parts.append(found)
    return "".join(parts) + formula[position:]
