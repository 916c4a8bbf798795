"""Requests with thinking in them, as JupyterLab shows them."""

import pytest
from playwright.sync_api import expect
from support.loopback import Loopback, captured, streamed

from browser.lab import Lab

pytestmark = pytest.mark.browser


def test_mark_hides_no_request(lab: Lab) -> None:
    """The mark for `strip` is not what the page draws: the request's text is."""
    with Loopback(streamed(captured(thinking="A thought."))) as model:
        cells = [f"%env MINIMAX_BASE_URL={model.url}", "%%minimax\nWhy?", "%%minimax\nAnd?"]
        lab.open("sent.ipynb", ["%load_ext mm_magic", *cells, "%minimax request"])
        lab.run(0, 1, 2, 3, 4)
    expect(lab.output(4)).to_contain_text('"thinking": "A thought."')
    (output,) = lab.save()["cells"][4]["outputs"]
    assert set(output["data"]) == {"text/plain", "application/vnd.minimax.thinking+json"}
