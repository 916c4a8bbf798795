"""The address of an own server stays out of the notebook: the file may be shared."""

from collections.abc import Iterator

import pytest
from support.kernels import Kernel
from support.loopback import Loopback, failure, streamed, whole

KEY = "sk-cp-canary-99e0"
MODELS = whole(200, {"data": [{"id": "MiniMax-M2.7"}], "has_more": False})
WHO = "your own server (MINIMAX_BASE_URL)"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


def test_address_is_in_no_output(kernel: Kernel) -> None:
    """Of an own server the saved outputs tell that it is one, and where its address stands."""
    with Loopback(MODELS, MODELS, streamed(), streamed(), failure(500, "broken")) as server:
        url = server.url.replace("127.0.0.1", "localhost") + "/team-token"
        kernel.fresh(url)
        cells = {
            code: kernel.run(code, cell_id=str(number))
            for number, code in enumerate(
                (
                    *("%reload_ext mm_magic", "%minimax", "%minimax offline", "%minimax live"),
                    *("%minimax panel", "%minimax models", "%%minimax\nWhy?"),
                    *("%minimax request", "%minimax show", "%minimax history", "%minimax usage"),
                    *("%%minimax --dry-run\nWhy?", "%%minimax -t 0.3\nWhy not?", "%config MiniMax"),
                    *("import mm_magic as mm; mm.ask('Why?', retries=0)", "%xmode Context"),
                )
            )
        }
        cells["key"], _ = kernel.run_and_type("%minimax key", KEY)

    for code, cell in cells.items():
        shown = str(cell.messages)
        assert "team-token" not in shown, code
        assert "localhost" not in shown, code
    assert WHO in cells["%reload_ext mm_magic"].shown
    assert WHO in cells["%minimax"].shown
    assert WHO in cells["%minimax live"].shown
    assert cells["%minimax request"].shown.startswith("To your own server: POST /v1/messages\n{")
    assert (
        cells["%%minimax --dry-run\nWhy?"]
        .shown.lstrip()
        .startswith("To your own server: POST /v1/")
    )
    assert "your own server" in cells["key"].shown
