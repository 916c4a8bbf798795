"""The default model where the service does not know it any more, and models that were chosen."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.loopback import Connection, Loopback, captured, failure, streamed, whole
from support.printed import on_one_line
from support.shells import Shell, fresh_shell

import mm_magic as mm
from mm_magic.jupyter.config import MiniMax

RETIRED = "MiniMax-M2.7"
REFUSAL = "invalid params, unknown model 'MiniMax-M2.7' (2013)"
NOTE = "MiniMax-M2.7 is no longer served; MiniMax-M3 answered."


class Service:
    """Knows the models that it lists, and refuses any other."""

    def __init__(self, *names: str, under_200: bool = False) -> None:
        self.names = names
        self.is_closed = False
        self.asked: list[str] = []
        self.bodies: list[dict[str, object]] = []
        self.under_200 = under_200

    def __call__(self, connection: Connection) -> None:
        request = connection.request
        if request.method == "GET":
            self.asked.append("GET")
            whole(200, {"data": [{"id": name} for name in self.names]})(connection)
            return
        model = request.json["model"]
        self.asked.append(model)
        self.bodies.append(request.json)
        if model not in self.names and self.under_200:
            error = {"type": "invalid_request_error", "message": REFUSAL}
            whole(200, {"type": "error", "error": error})(connection)
        elif self.is_closed and model in self.names:
            failure(401, "invalid api key (2049)", "authentication_error")(connection)
        elif model not in self.names:
            failure(400, REFUSAL, "invalid_request_error")(connection)
        else:
            for step in streamed(captured()):
                step(connection)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


@pytest.fixture
def serve(environment: pytest.MonkeyPatch) -> Iterator["type[Loopback]"]:
    servers = []

    def begin(service: Service) -> Service:
        server = Loopback(service)
        servers.append(server)
        environment.setenv("MINIMAX_BASE_URL", server.url)
        return service

    yield begin  # type: ignore[misc]
    for server in servers:
        server.close()


@pytest.fixture
def shell() -> Iterator[Shell]:
    with fresh_shell() as shell:
        yield shell


@pytest.mark.parametrize("under_200", [False, True])
def test_another_model_answers_for_the_session(
    shell: Shell, serve: type, capsys: pytest.CaptureFixture[str], under_200: bool
) -> None:
    """One more request a session: the best of those on offer answers, and the reader is told once;
    `%minimax` and `%config` show it."""
    service = serve(Service("MiniMax-M3.1-Flash", "MiniMax-M3", under_200=under_200))
    shell.run("%%minimax\nWhy?")
    shell.run("%%minimax\nAnd then?")
    shell.run("%minimax")

    shown = capsys.readouterr().out
    assert service.asked == [RETIRED, "GET", "MiniMax-M3", "MiniMax-M3"]
    assert shown.count(NOTE) == 1
    assert "MiniMax-M3" in shown.splitlines()[-1] or "model MiniMax-M3" in shown
    shell.run("%config MiniMax.model")
    assert "MiniMax-M3" in capsys.readouterr().out
    assert service.bodies[1]["thinking"] == {"type": "adaptive"}
    assert service.bodies[1]["max_tokens"] == 16_384


@pytest.mark.parametrize("line", ["-n 3", "-t 0.1,0.5,1", "--alone -n 3"])
def test_answers_at_once_look_for_another_model_once(
    shell: Shell, serve: type, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    """Of several answers to one cell the first that is refused asks which models there are."""
    service = serve(Service("MiniMax-M3"))
    shell.run(f"%%minimax {line}\nWhy?")

    assert sorted(service.asked) == ["GET", *[RETIRED] * 3, *["MiniMax-M3"] * 3]
    assert capsys.readouterr().out.count(NOTE) == 1


@pytest.mark.parametrize("names", [("MiniMax-M3",), ()])
def test_refused_models_are_looked_up_once(
    shell: Shell, serve: type, names: tuple[str, ...]
) -> None:
    """Of several models that the server refuses at once the first asks which there are, also where
    the list holds none."""
    service = serve(Service(*names))
    shell.error("%%minimax --alone -m one -m two -m three\nWhy?")

    assert sorted(service.asked) == ["GET", "one", "three", "two"]


@pytest.mark.usefixtures("shell")
def test_nobody_is_said_to_have_answered_who_did_not(
    shell: Shell, serve: type, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the other model fails, too, the note waits for its first answer."""
    service = serve(Service("MiniMax-M3"))
    service.is_closed = True
    shell.error("%%minimax\nWhy?")
    assert NOTE not in capsys.readouterr().out
    service.is_closed = False
    shell.run("%%minimax\nWhy?")
    shell.run("%%minimax\nAnd then?")
    assert capsys.readouterr().out.count(NOTE) == 1


def test_from_python(serve: type) -> None:
    """`mm.ask` gets the answer, and a warning tells of the model."""
    service = serve(Service("MiniMax-M3"))
    with pytest.warns(UserWarning, match="MiniMax-M3 answered"):
        reply = mm.ask("Why?")

    assert reply.text
    assert service.asked == [RETIRED, "GET", "MiniMax-M3"]


def test_a_named_model_is_not_replaced(shell: Shell, serve: type) -> None:
    """Who names a model gets that one or an error that lists what is on offer."""
    service = serve(Service("MiniMax-M3"))
    error = shell.error(f"%%minimax -m {RETIRED}\nWhy?")

    assert isinstance(error, mm.MiniMaxError)
    assert error.kind == "not_found"
    assert any("-m MiniMax-M3" in step for step in error.next_steps)
    assert service.asked == [RETIRED, "GET"]


@pytest.mark.parametrize("where", ["environment", "line", "trait"])
def test_a_chosen_default_is_not_replaced(
    serve: type, environment: pytest.MonkeyPatch, where: str
) -> None:
    """MINIMAX_MODEL, a line and `%config` choose a model, also where it is the usual one."""
    if where == "environment":
        environment.setenv("MINIMAX_MODEL", RETIRED)
    service = serve(Service("MiniMax-M3"))
    with fresh_shell() as shell:
        if where == "line":
            shell.run(f"%minimax -m {RETIRED}")
        if where == "trait":
            shell.run(f"%config MiniMax.model = {RETIRED!r}")
        shell.error("%%minimax\nWhy?")

    assert service.asked == [RETIRED, "GET"]


def test_configuration_chooses(serve: type) -> None:
    """So does IPython's configuration file."""
    from traitlets.config import Config

    service = serve(Service("MiniMax-M3"))
    with fresh_shell(Config({MiniMax.__name__: {"model": RETIRED}})) as shell:
        shell.error("%%minimax\nWhy?")

    assert service.asked == [RETIRED, "GET"]


def test_nothing_known_is_offered(shell: Shell, serve: type) -> None:
    """A server that offers strangers alone is not asked for one of them."""
    service = serve(Service("Own-Model"))
    error = shell.error("%%minimax\nWhy?")

    assert isinstance(error, mm.MiniMaxError)
    assert any("Own-Model" in step for step in error.next_steps)
    assert service.asked == [RETIRED, "GET"]


def test_the_default_stays_where_it_is_served(shell: Shell, serve: type) -> None:
    """Nothing changes where the service knows it."""
    service = serve(Service(RETIRED, "MiniMax-M3"))
    shell.run("%%minimax\nWhy?")

    assert service.asked == [RETIRED]


def test_the_error_of_a_chosen_model_is_recorded(
    serve: type, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is asked in its place, so the recording gives it again."""
    environment.setenv("MINIMAX_MODEL", "Gone")
    serve(Service("MiniMax-M3"))
    file = tmp_path / "lesson.jsonl"
    with fresh_shell() as shell:
        shell.run(f"%minimax record {file}")
        shell.error("%%minimax\nWhy?")

    lines = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    assert [line["ending"] for line in lines] == ["failed"]


@pytest.mark.parametrize("under_200", [False, True])
def test_the_refusal_is_not_recorded(
    shell: Shell, serve: type, tmp_path: Path, under_200: bool
) -> None:
    """A recording holds the answer, and gives it under the model that is default then."""
    serve(Service("MiniMax-M3", under_200=under_200))
    file = tmp_path / "lesson.jsonl"
    shell.run(f"%minimax record {file}")
    shell.run("%%minimax -o first\nWhy?")

    lines = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    assert [line["ending"] for line in lines] == ["complete"]
    shell.run(f"%minimax replay {file}")
    shell.run("%minimax reset")
    shell.run("%%minimax -o again\nWhy?")
    assert shell["again"].text == shell["first"].text


def test_unlisted_model_is_told_at_once(
    shell: Shell, serve: type, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once the server has listed its models, another name is told, with the closest one; before
    that nothing is, and nothing is asked for it."""
    service = serve(Service("A-1", "B-2", "foo"))
    shell.run("%minimax -m a-l")
    assert capsys.readouterr().out.endswith("From now on: model 'a-l'\n")
    assert not service.asked
    shell.run("%minimax models")
    service.names = ("A-1", "B-2", "foo", "a-l")
    capsys.readouterr()

    shell.run("%minimax -m bar")
    assert capsys.readouterr().out.endswith("bar is not in the server's list: A-1, B-2, foo.\n")
    shell.run("%minimax -m a-l")
    assert "A-1, B-2, foo. Did you mean A-1?" in capsys.readouterr().out
    shell.run("%minimax -m A-1")
    assert "list" not in capsys.readouterr().out
    assert service.asked == ["GET"]


def test_unlisted_model_of_one_cell(
    shell: Shell, serve: type, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under the answer of a cell it is told once for each name."""
    service = serve(Service("A-1"))
    shell.run("%minimax models")
    service.names = ("A-1", "proxy/one", "two")
    shown = []
    for model in ("proxy/one", "proxy/one", "A-1", "two"):
        capsys.readouterr()
        shell.run(f"%%minimax -m {model} --alone\nWhy?")
        shown.append("is not in the server's list: A-1." in capsys.readouterr().out)
    assert shown == [True, False, False, True]


def test_unlisted_model_belongs_to_its_server(
    shell: Shell, serve: type, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list of another server says nothing of this one's models."""
    serve(Service("A-1"))
    shell.run("%minimax models")
    serve(Service("B-2"))
    capsys.readouterr()

    shell.run("%minimax -m B-2")

    assert capsys.readouterr().out.endswith("From now on: model 'B-2'\n")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("MiniMax-M27", "Did you mean MiniMax-M2.7?"),
        ("minimax_m3", "Did you mean MiniMax-M3?"),
        ("foo", "foo is not among MiniMax's known models: MiniMax-M2.7, "),
        ("MiniMax-M3", ""),
        ("minimax/minimax-m2.5", ""),
    ],
)
def test_model_that_the_catalog_lacks(
    shell: Shell, name: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where MiniMax or the demo answers, a name is looked up among the known models."""
    capsys.readouterr()
    shell.run(f"%minimax -m {name}")
    first, *more = capsys.readouterr().out.splitlines()
    assert first == f"From now on: model {name!r}"
    assert told in on_one_line("\n".join(more))
    assert bool(more) == bool(told)
