"""What of a turn is not on its page, though it would be sent.

A notebook file shows a turn as HTML, and keeps it as JSON that no reader sees: in a file that
somebody made up the two can differ.
"""

import re

from mm_magic.ipynb import Found, joined
from mm_magic.markdown import to_html
from mm_magic.protocol.messages import TextBlock, ThinkingBlock, as_object
from mm_magic.rendering import answer_pages, growing_thinking, line_bundle

# Colours in code differ from one release of Pygments to the next; the title tells seconds.
_VARYING = re.compile(
    r'<span class="[a-z][a-z0-9]{0,2}">|</span>|(?<=") open(?=><summary>)|(?<=<summary>)[^<]*'
)


def not_on_page(found: Found) -> list[str]:
    """The parts of a turn that its cell does not show: prompt, thinking, answer, other blocks.

    A part is shown where the cell holds the very HTML that is drawn of it; a prompt also where it
    stands in the cell's source.
    """
    turn, cell = found.turn, found.cell
    data = (as_object(output.get("data")) for output in cell.outputs)
    page = {_settled(joined(each.get("text/html"))) for each in data}
    again = line_bundle(f"Turn {turn.number}: {turn.prompt}")  # as `%minimax show` draws it
    thinking = growing_thinking(turn.reply.thinking, "")
    is_in_source = _one_line(turn.prompt) in _one_line(cell.source)
    parts = {
        "prompt": is_in_source or _settled(str(again["text/html"])) in page,
        "thinking": not turn.reply.thinking or _settled(str(thinking["text/html"])) in page,
        "answer": all(_settled(to_html(part)) in page for part in answer_pages(turn.reply.text)),
        "other blocks": all(
            isinstance(block, TextBlock | ThinkingBlock) and not block.extra
            for block in turn.reply.message.content
        ),
    }
    return [name for name, is_shown in parts.items() if not is_shown]


def _settled(html: str) -> str:
    return _VARYING.sub("", html)


def _one_line(text: str) -> str:
    return " ".join(text.split())
