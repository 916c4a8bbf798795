"""The row of what a notebook's file takes, and the table of what in it takes how much."""

import json
from collections.abc import Iterator
from pathlib import Path

from bench.page import commit, drawn, session
from bench.table import Row
from mm_magic.jupyter.views.finished import status_of
from mm_magic.rendering.bundles import TURN_MIME, Bundle

SIZE = 80_000  # characters of an answer
_PROJECT = Path(__file__).parents[2]
_FORMULAS = r"""The intensity of the light is $I(\lambda) = I_0 \frac{1 + \cos^2\theta}{2R^2}$, so
that blue light is scattered more than red light. All of it comes to this:

$$\int_0^\infty I(\lambda)\, d\lambda = \sum_{k=1}^{\infty} \frac{a_k}{k^2}$$

"""
FORMS = {
    "text/html": "HTML",
    "text/markdown": "Markdown",
    "text/plain": "plain text",
    TURN_MIME: "JSON",
}


def rows() -> list[Row]:
    """Measure prose. It takes about 2 s."""
    text = _prose()
    size, length = _size(_outputs(text)), len(text.encode())
    return [
        Row(
            "the saved file of an answer in prose, against its text",
            f"{size / 1e3:.0f} kB",
            f"text {length / 1e3:.0f} kB",
            size / length,
            4.5,
        )
    ]


def shares() -> str:
    """What each form of an answer takes in the file, against the bytes of its text: a table."""
    lines = [f"| a text of | {' | '.join(FORMS.values())} | the file |", f"| --- {'| --: ' * 5}|"]
    for name, text in (("prose", _prose()), ("code", _code()), ("formulas", _repeated(_FORMULAS))):
        outputs, length = _outputs(text), len(text.encode())
        found = [_size(_only(outputs, form)) - _size(_only(outputs, "")) for form in FORMS]
        cells = [f"{size / length:.2f}x" for size in (*found, _size(outputs))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _prose() -> str:
    """Paragraphs and lists of this project's documentation, without its tables and code."""
    texts = (path.read_text("utf-8") for path in sorted((_PROJECT / "docs").glob("*.md")))
    parts = (part for text in texts for part in text.split("\n\n"))
    return _repeated("\n\n".join(part for part in parts if part and _is_prose(part)) + "\n\n")


def _is_prose(part: str) -> bool:
    return part[0] not in "|#`" and "```" not in part and "\n|" not in part


def _code() -> str:
    source = (_PROJECT / "mm_magic" / "session" / "run.py").read_text("utf-8")[:7_000]
    return _repeated(f"Here is the code:\n\n```python\n{source}\n```\n\n")


def _repeated(text: str) -> str:
    return (text * (SIZE // len(text) + 1))[:SIZE]


def _outputs(text: str) -> list[Bundle]:
    """What a cell keeps of an answer, its status included."""
    screen = drawn(text, status_of(commit(session(), "Why?", text), None, []))
    return list(screen.shown.values())


def _only(outputs: list[Bundle], form: str) -> list[Bundle]:
    return [{form: bundle[form]} if form in bundle else {} for bundle in outputs]


def _size(outputs: list[Bundle]) -> int:
    """Bytes of a file that has these outputs."""
    made = [
        {"output_type": "display_data", "metadata": {}, "data": dict(_lines(bundle))}
        for bundle in outputs
    ]
    return len(json.dumps({"cells": [{"outputs": made}]}, ensure_ascii=False, indent=1).encode())


def _lines(bundle: Bundle) -> Iterator[tuple[str, object]]:
    """What a bundle becomes in a notebook file: text is a list of its lines there."""
    for mime, value in bundle.items():
        yield mime, value.splitlines(keepends=True) if isinstance(value, str) else value
