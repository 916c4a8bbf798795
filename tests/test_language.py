"""Everything that a user reads is written as a native technical writer would write it.

A program can't judge that. It keeps out the phrases that readers have stumbled over.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PHRASES = {
    r"any ?more\b": "no longer",
    r"in other words": "rephrase it",
    r"if it lasts": "if it keeps happening",
    r"of this sort|of another sort": "like this",
    r"the very same": "exactly the same",
    r"who answers|who answered|who has a key": "which model answers; with a key",
    r"it is told|is told (once|so)\b|told by": "it says so",
    r"\btells (who|tokens|what)": "shows",
    r"lets (a recording|the demo|a model) answer": "answers from a recording",
    r"if it is meant so": "to send it as is",
    r"stands before|stands behind": "comes before, comes after",
    r"in another context|another context": "with different earlier turns",
    r"nobody to ask|nobody is here": "no model can be asked",
    r"not found or not reached": "could not be reached",
    r"make a text": "turn it into text",
    r"without a text|has no text\)": "with no text form",
    r"no regular file|and no notebook": "not a regular file, not a notebook",
    r"that is none": "is not one",
    r"(what|that) came\b(?! back)|as it came|as they came|as it comes|no byte came": "what arrived",
    r"\banew\b|begins again": "starts again",
    r"under your hands": "at your fingertips",
    r"may stand between|stands between": "intercepts",
    r"nobody knows": "unknown",
    r"\bmend(s|ed)?\b": "fix",
    r"taken? out of": "remove from",
    r"prices are of|prices of (january|november|\{)": "prices as of",
    r"a price is not known|price is not known": "the price is unknown",
    r"made with other turns|other turns above": "earlier turns have changed since",
    r"a server of (your|one's) own": "your own server",
    r"signs of life|fell silent": "keep-alive signals; stopped sending",
    r"\bwhole answers?\b": "complete answer",
    r"points at\b": "points to",
    r"\bto go on\b|\bgoes on with": "to continue",
    r"is the other than|other than there": "what differs",
    r"as (it|they) stands?\b": "as written",
    r"all else is": "everything else is",
    r"brought back": "restored",
    r"nothing to take|taken out\b|takes out\b": "restore, remove",
    r"goes back to (a|the real) server": "switches back to",
    r"not from top to bottom|do so, too": "the cells did not run from top to bottom; do the same",
    r"answers? more in\b|alone ends it": "2 new answers in; stops recording",
    r"(was|answer) cut (at|after)\b": "was cut off at",
    r"went into (the )?thinking|no text came": "thinking used it up, so there is no text",
    r"behind (the options|`?%%minimax)": "after",
    r"stays? out\b": "left out",
    r"takes no click": "clicks reach the kernel only after it ends",
    r"is not there yet": "is not ready yet",
    r"\bis not served|model is served": "is not in the server's list",
    r"where no cell": "unless a cell",
    r"puts? in (its|the) value": "is replaced by the value",
    r"answers, which is not": "the answers come from the demo, which is not",
    r"holds again|default holds|hold for all": "applies",
    r"counts (more|most)\b": "overrides",
    r"wait for its end": "wait until it ends",
    r"further tries|how often to retry": "how many times to retry",
    r"opened and not closed": "opened but not closed",
    r"who is new here": "new to mm_magic",
    r"is not known here|are not known:": "mm_magic can't tell which; could not be loaded",
    r"another one; it was": "changed; it was",
    r"written as text: not": "written as text and not run",
    r"with a point\b": "with a decimal point",
    r"of an earlier kernel": "from an earlier kernel",
    r"in \(0, 1\]": "above 0 and at most 1",
    r"(^|[.] )counted are\b": "all answers count",
    r"asked (for )?once more": "asked again",
    r"asks? only what|only what is (new|missing)": "asks only for what is missing",
    r"\balone (stops|brings)\b": "by itself",
    r"page keeps the": "they stay on the page",
    r"as itself, got": "must be a type, got",
    r"rows? (is|are|were) asked\b|requests? (is|are|were) asked\b": "rows are sent",
    r"asks? (only )?the rest|the rest is asked": "send the rest",
    r"failed, the first: |because of this: ": "3 rows failed; the first error:",
    r"\bsome hundred\b": "a few hundred",
    r"need (an )?internet\.": "need internet access",
    r"it said: ": "the answer was",
    r"`%%minimax` goes to": "`%%minimax` asks",
    r"” is now turn": "Turn 3 now uses answer 2",
    r"\(estimated from|of all requests together": "estimated from, in a sentence of its own",
    r"(is|was|shows a picture) at an address|picture at an address": "at a URL",
    r"at most [^.;]{1,30} (is|are) read\b": "the limit is",
    r"to install: |for new copies: |look at it: ": "to install it, run",
    r"needs? a key: `": "set a key with",
    r"(^|[.\"“] )Recorded (with|after|at|as|right)\b": "This prompt was recorded with",
    r"turns? \d[\d, andto]* (forgotten|restored)\b": "turn 3 was forgotten",
    r"(?<!run )`%minimax [^`]*`, then run\b": "Run `%minimax …`, then run",
    r"\bstands? (below|above)\b": "comes after, comes before",
    r"a box to tick": "a checkbox",
    r"\b(one|models?) that (sees?|can see)(?! pictures)": "that can see pictures",
    r"\bby it,? (the|you|we|mm_magic)\b": "with it,",
    r"of which \w+ alone": "in which only … differ",
    r"would be asked now": "would answer now",
    r"forgets? nothing|remembers? nothing\.": "keeps them",
    r"and remember nothing": "and do not remember this one",
}
"""What is not written, in any case of letters, and what to write instead."""
FOUND = re.compile("|".join(PHRASES), re.IGNORECASE)


def in_code(path: Path) -> Iterator[str]:
    """The texts in a module that are no docstrings, with `{}` for what is filled in."""
    tree = ast.parse(path.read_text("utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            said.update(map(id, node.values))
            parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
            yield "".join(map(str, parts))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def in_notebook(path: Path) -> Iterator[str]:
    """What a reader of a notebook sees: its cells, and the plain form of their outputs."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        yield "".join(cell["source"])
        for output in cell.get("outputs", []):
            yield "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))


def texts() -> list[tuple[str, str]]:
    """Every text that a user reads, with the file that holds it."""
    found: list[tuple[str, str]] = []
    for path in sorted((ROOT / "mm_magic").rglob("*.py")):
        found += [(path.name, text) for text in in_code(path)]
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        found.append((path.name, path.read_text("utf-8")))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        found += [(path.name, text) for text in in_notebook(path)]
    return found


def test_phrases_that_we_do_not_use() -> None:
    """None of the phrases is in a card, a note, the help, the docs or a notebook."""
    wrong = [
        f"{name}: {found[0]!r} in {text[max(0, found.start() - 40) : found.end() + 40]!r}"
        for name, text in texts()
        for found in FOUND.finditer(text)
    ]
    assert wrong == []


@pytest.mark.parametrize("text", ["The file is not there any more.", "Say it in other words"])
def test_the_phrases_are_found(text: str) -> None:
    """The search itself works."""
    assert FOUND.search(text)
