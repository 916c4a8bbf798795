"""An answer is untrusted text: it runs no script and fetches nothing."""

import json

import pytest
from playwright.sync_api import expect
from support.corpora import own_payloads, payloads
from support.loopback import Loopback, captured, chunk, delta, head, sse

from browser.lab import Lab

pytestmark = pytest.mark.browser

AT_ONCE = 45
"""JupyterLab draws the first 50 outputs of a cell."""
SHOW = """
import json
from mm_magic.rendering.bundles import answer_bundle

with open({path!r}, encoding="utf-8") as file:
    payloads = json.load(file)
for text in payloads[{start}:{end}]:
    get_ipython().display_pub.publish(answer_bundle(text))
"""
ACTIVE = "script, iframe, object, embed, form, input, style, link, img, svg, base, meta"

# A handler, an address that acts, or an id that other parts of the page are found by.
HANDLERS = """outputs => outputs.flatMap(output => [...output.querySelectorAll('*')])
    .flatMap(element => [...element.attributes].map(a => [element, a.name, a.value]))
    .filter(([element, name, value]) => !element.closest('mjx-container') && (
        name.startsWith('on') || name.startsWith('data-command')
        || (['href', 'src'].includes(name) && !/^(https?|mailto):/i.test(value))))
    .map(([element, name, value]) => `${element.tagName} ${name}=${value}`)"""


@pytest.mark.smoke
def test_hostile_answer_does_nothing(lab: Lab) -> None:
    """Hostile Markdown runs no script and asks no other machine, live, finished and reloaded."""
    texts = own_payloads().values()
    before, after = captured()[:7], captured()[8:]
    pieces = [delta(1, "text_delta", text=f"{text}\n\n") for text in texts]
    pieces.append(delta(1, "text_delta", text="The end of it."))
    answer = [head(), *(chunk(sse(event)) for event in (*before, *pieces, *after))]
    with Loopback(answer) as model:
        cells = [f"%env MINIMAX_BASE_URL={model.url}", "%%minimax\nWhy?"]
        lab.open("hostile.ipynb", ["%load_ext mm_magic", *cells])
        lab.run(0, 1, 2)
    for _ in range(2):
        expect(lab.answer(2).last).to_contain_text("The end of it.")
        expect(lab.cell(2).locator("mjx-container").first).to_be_visible()
        assert lab.output(2).locator(ACTIVE).count() == 0
        assert lab.output(2).evaluate_all(HANDLERS) == []
        lab.save()
        lab.reload()
    assert lab.dialogs == []


def test_hostile_corpora_do_nothing(lab: Lab) -> None:
    """No text of the corpora does anything in the form that an answer of it gets."""
    texts = payloads()
    path = lab.server.notebooks / "payloads.json"
    path.write_text(json.dumps(texts), "utf-8")
    starts = range(0, len(texts), AT_ONCE)
    sources = [SHOW.format(path=str(path), start=start, end=start + AT_ONCE) for start in starts]
    lab.open("corpus.ipynb", sources)
    shown = 0
    for number, start in enumerate(starts):
        lab.run(number)
        expect(lab.output(number)).to_have_count(min(AT_ONCE, len(texts) - start))
        shown += lab.output(number).locator(".mm-answer").count()
        assert lab.output(number).locator(ACTIVE).count() == 0
        assert lab.output(number).evaluate_all(HANDLERS) == []
    assert shown == len(texts)
    assert lab.dialogs == []
