"""What an untrusted file holds is sent to no model before `%minimax restore`, whatever brought it
back into the notebook."""

import pytest
from support.loopback import Loopback, typed
from support.pages import Page, sent

AS_SHOWN = "reused; `%%minimax --fresh` asks again."


def opened(page: Page, server: Loopback, *, trusted: bool = False) -> None:
    """A reader's kernel, with a key, of the file that was saved."""
    page.save(trusted=trusted)
    page.load(server.url)
    page.run("reuse", "%minimax --reuse")


def history(page: Page) -> str:
    return page.run("history", "%minimax history").shown


@pytest.mark.parametrize(
    "options",
    ["", *(pytest.param(each, marks=pytest.mark.slow) for each in ("--loose", "--fill"))],
)
def test_replayed_answers(page: Page, server: Loopback, options: str) -> None:
    """The file's own turns may be replayed; they are not sent on, as long as the file waits."""
    page.ask("a")
    page.ask("alone", options="--alone")
    page.ask("b")
    opened(page, server)
    for is_first in (True, False):
        page.run("replay", f"%minimax replay --speed max {options}")
        for name in ("a", "b"):
            assert "recorded, MiniMax-M2.7" in page.ask(name).shown
        page.ask("taken", "prompt alone", options="--alone")
        assert history(page).count("shown, not sent") == 2
        page.save(trusted=True)  # as Jupyter does where the reader ran all cells
        if is_first:
            page.load(server.url)
    page.run("live", "%minimax live")
    page.ask("new")
    assert sent(server) == ["new"]

    page.run("replay", f"%minimax replay --speed max {options}")
    page.run("restore", "%minimax restore")
    page.ask("b")
    assert "shown, not sent" not in history(page)
    page.run("again", f"%minimax replay --speed max {options}")
    page.ask("b")
    page.run("live", "%minimax live")
    page.ask("new")
    assert sent(server) == ["a", "1", "b", "3", "new"]


def test_one_turn_restored(page: Page, server: Loopback) -> None:
    """An answer to turns that are not sent does not come again in their absence: else its turn
    would be outdated, however often its cell ran."""
    page.ask("a")
    page.ask("b")
    opened(page, server)
    page.run("one", "%minimax restore 2")
    assert "Turn 2 is outdated" in history(page)
    page.ask("b")
    assert sent(server) == ["b"]
    assert "outdated" not in history(page)
    assert AS_SHOWN in page.ask("b").shown
    page.ask("c")
    assert sent(server) == ["b", "3", "c"]


def test_answer_to_less(page: Page, server: Loopback) -> None:
    """A file's answer that was given without the turns above is none to a prompt behind them."""
    page.ask("a")
    page.ask("b", options="--alone")
    opened(page, server)
    assert "answer 3" in page.ask("b").shown
    assert "outdated" not in history(page)
    assert sent(server) == ["b"]


def test_own_turns_in_such_a_file(page: Page, server: Loopback) -> None:
    """What a reader asked there comes again where the file is still not trusted."""
    page.ask("a")
    opened(page, server)
    page.ask("b")
    assert sent(server) == ["b"]
    opened(page, server)
    for name in ("a", "b"):
        assert AS_SHOWN in page.ask(name).shown
    assert history(page).count("shown, not sent") == 2
    assert "outdated" not in history(page)
    assert len(server.requests) == 2


def test_earlier_answer(page: Page, server: Loopback) -> None:
    """The file's answer that a turn had before waits as well, and is sent after `restore`."""
    page.ask("a")
    opened(page, server)
    page.ask("a", options="--fresh")
    page.run("version", "%minimax restore 1 --version 1")
    page.ask("b")
    assert sent(server) == ["b"]
    page.run("newest", "%minimax restore 1 --version 2")
    page.run("restore", "%minimax restore")
    page.run("version", "%minimax restore 1 --version 1")
    page.ask("b", options="--fresh")
    assert sent(server) == ["a", "1", "b"]


def test_other_file_restored(page: Page, server: Loopback) -> None:
    """`%minimax restore FILE` sends what that file holds, and no other turns."""
    page.ask("a")
    page.save(trusted=True)
    original = page.path.with_name("original.ipynb")
    original.write_bytes(page.path.read_bytes())
    page.ask("b")
    opened(page, server)
    page.ask("mine")
    page.run("restore", "%minimax restore original.ipynb")
    page.ask("new")
    assert sent(server) == ["a", "1", "mine", "3", "new"]


@pytest.mark.parametrize("first", ["", "%minimax replay --fill", "%minimax replay"])
def test_answer_of_another_type(page: Page, first: str) -> None:
    """An answer that is not of its type is quoted to a model, but not one of such a file."""
    with Loopback(typed('{"a": 1}')) as server:
        page.load(server.url)
        page.ask("a", options="--type dict[str,int]")
        page.save(trusted=False)
        text = page.path.read_text("utf-8")
        changed = text.replace(r"\"a\": 1", r"\"planted\": \"x\"")
        assert changed != text
        page.path.write_text(changed, "utf-8")
        page.load(server.url)
        page.run("reuse", "%minimax --reuse")
        page.run("first", first)
        assert page.ask("a", options="--type dict[str,int]").ename == "AnswerError"
        assert len(server.requests) == 1
        page.run("live", "%minimax live")
        assert page.ask("a", options="--type dict[str,int] --fresh").ename == ""
        assert len(server.requests) == 2


def test_all_ways(page: Page, server: Loopback) -> None:
    """Reused, picked, forked, brought back, copied, in Python or in another conversation: nothing
    that the file holds is sent, neither by this kernel nor by the next one."""
    page.run("import", "import mm_magic as mm")
    page.ask("a")
    page.ask("two", options="-n 2")
    page.ask("alone", options="--alone")
    page.run("python", "mm.ask('prompt python', conversation='main').text")
    page.ask("side", options="-c side")
    of_file = len(server.requests)
    opened(page, server)
    page.run("import", "import mm_magic as mm")
    for _ in range(2):
        page.ask("a")
        page.ask("two", options="-n 2")
        page.run("pick", "%minimax pick 2")
        page.ask("more", "prompt two", options="-n 3")
        page.run("pick3", "%minimax pick 3")
        page.ask("alone", options="--alone")
        page.ask("alone", options="-c side")
        page.run("python", "mm.ask('prompt python', conversation='main').text")
        page.ask("side", options="-c side")
        page.run("fork", "%minimax fork idea")
        page.ask("idea", options="-c idea")
        page.ask("a", options="--fresh")
        page.run("diff", "%minimax diff 1")
        page.run("version", "%minimax restore 1 --version 1")
        page.run("forget", "%minimax forget 2")
        page.run("back", "%minimax restore")
        page.copy("a", "copy")
        page.ask("copy", "prompt a")
        page.run("new", "mm.ask('new', conversation='main').text")
        page.ask("compared", options="-t 0.1,0.2 -c idea")
        page.save(trusted=True)
        page.load(server.url)
    told = str([request.json for request in server.requests[of_file:]])
    assert "new" in told
    for number in range(1, of_file + 1):
        assert f"answer {number}'" not in told
        assert f"thought {number}'" not in told
