"""The recipe of docs/scale.md, run by a Dask cluster of two worker processes."""

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import dask.dataframe as dd
import pandas as pd
import psutil
import pytest
from bench.engines import Way, rate
from distributed import Client
from support import dask_cluster
from support.canary import KEY, traces
from support.loopback import Connection, Loopback, failure
from support.rows import AtOnce, asked, echo, kernel, prompt_of
from support.shells import fresh_shell

import mm_magic as mm
from mm_magic.session.api import forget_session

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
OWN_KEY = "sk-canary-Yp72-e83c01d9b6f74a51"
"""The key of this process. Workers have KEY in their environment, and use no other."""
LIMIT = 60.0  # seconds: nothing takes nearly as long
REVIEWS = pd.DataFrame({"n": range(60), "text": [f"review {n}" for n in range(60)]})
PROMPT = "Say {{text}}"


def recipe() -> str:
    """The lines of docs/scale.md that make a labelled Dask table of `reviews`."""
    page = (ROOT / "docs" / "scale.md").read_text("utf-8")
    (block,) = (each for each in page.split("```python\n") if "map_partitions" in each)
    return block.split("```")[0]


class Service:
    """Answers as `echo` does; `held` is a prompt whose first request is not answered.

    `arrived` is set when that one is there; `port` is its client's.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.held, self.port, self.refuses = "", 0, False
        self.arrived = threading.Event()

    def __call__(self, connection: Connection) -> None:
        if self.refuses:
            said = connection.request.headers["authorization"]
            failure(401, f"no: {said} (2049)", request_id=said)(connection)
        elif prompt_of(connection) == self.held:
            self.held = ""
            self.port = connection.socket.getpeername()[1]
            self.arrived.set()
            connection.wait(connection.closed, LIMIT)
        else:
            echo(connection)


class Cluster:
    """The cluster, a client of it, and the server that its workers ask."""

    def __init__(self, folder: Path, server: Loopback, service: Service, address: str) -> None:
        self.folder, self.server, self.service = folder, server, service
        self.client = Client(address)

    def labelled(self, recipe: str, partitions: int = 6) -> Any:
        """What a recipe makes of the table; it asks nothing.

        Where an error is due there is to be one partition: Dask does not end those that run.
        """
        made: dict[str, Any] = {"reviews": dd.from_pandas(REVIEWS, npartitions=partitions)}
        exec(recipe, {"partial": partial, "mm": mm}, made)
        assert self.server.requests == []
        return made["labelled"]

    def kill_who_waits(self) -> None:
        """SIGKILL the worker whose request is held."""
        assert self.service.arrived.wait(LIMIT)
        (pid,) = (pid for pid in self.workers() if self.service.port in ports(pid))
        os.kill(pid, signal.SIGKILL)

    def workers(self) -> list[int]:
        """The numbers of the workers' processes."""
        return list(self.client.run(os.getpid).values())


def ports(pid: int) -> list[int]:
    """The ports of a process, on its side of each connection."""
    return [each.laddr.port for each in psutil.Process(pid).net_connections("tcp") if each.laddr]


def environment(url: str) -> dict[str, str]:
    """That of workers which ask the server at `url` with KEY, and log what they can."""
    logged = {"DASK_LOGGING__DISTRIBUTED": "debug", "DASK_LOGGING__HTTPCORE": "debug"}
    settings = {"MINIMAX_BASE_URL": url, "MINIMAX_API_KEY": KEY, "PYTHONPATH": str(ROOT)}
    return {**os.environ, **settings, **logged}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder, service = tmp_path_factory.mktemp("dask"), Service()
    with (
        Loopback(service) as server,
        dask_cluster.cluster(folder, environment(server.url)) as address,
    ):
        cluster = Cluster(folder, server, service, address)
        yield cluster
        cluster.client.close()


@pytest.fixture
def cluster(running: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The cluster, and a new session of this process, which has a key of its own."""
    running.service.reset()
    running.server.requests.clear()
    monkeypatch.chdir(running.folder)
    monkeypatch.setenv("MINIMAX_BASE_URL", running.server.url)
    monkeypatch.setenv("MINIMAX_API_KEY", OWN_KEY)
    forget_session()
    yield running
    forget_session()


def keys_of(cluster: Cluster) -> set[str]:
    """The keys that came with the requests."""
    return {request.headers["authorization"] for request in cluster.server.requests}


def computed(table: Any, meanwhile: Callable[[], None]) -> Any:
    """What `table.compute()` gives, while something else happens."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(table.compute)
        meanwhile()
        return running.result(LIMIT)


def without_seconds(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="answer_seconds")


def fileless(prompt: str) -> str:
    """The recipe without a file. A worker remembers answers: each test has a prompt of its own."""
    return (
        f"ask = partial(mm.map, {prompt!r}, parallel=1)\n"
        "labelled = reviews.map_partitions(ask, meta=ask(reviews._meta))\n"
    )


def test_the_recipe(cluster: Cluster) -> None:
    """Nothing is sent before `.compute()`. A worker that is killed loses the four requests in
    flight at most: the answers file has the others, and gives the same table without a cluster."""
    labelled = cluster.labelled(recipe())
    cluster.service.held = "Is this review positive? review 29"
    table = computed(labelled, cluster.kill_who_waits)
    assert 61 <= len(cluster.server.requests) <= 64
    assert keys_of(cluster) == {f"Bearer {KEY}"}
    cluster.server.requests.clear()
    local = mm.map("Is this review positive? {{text}}", REVIEWS, file="labels.jsonl")
    assert cluster.server.requests == []
    pd.testing.assert_frame_equal(table, local, check_dtype=False)
    assert b"no answers to these prompts" not in (cluster.folder / "cluster.log").read_bytes()


def test_without_a_file(cluster: Cluster) -> None:
    """What the killed worker had answered is asked again; the table is as the local one."""
    labelled = cluster.labelled(fileless(PROMPT))
    cluster.service.held = "Say review 27"
    table = computed(labelled, cluster.kill_who_waits)
    prompts = asked(cluster.server)
    assert [prompts.count(f"Say review {n}") for n in range(20, 28)] == [2] * 8
    local = mm.map(PROMPT, REVIEWS)
    pd.testing.assert_frame_equal(without_seconds(table), without_seconds(local), check_dtype=False)


def test_an_error_arrives_whole(cluster: Cluster) -> None:
    """A key that is not accepted ends the computation: kind, next steps and rows come along."""
    labelled = cluster.labelled(fileless("Rate {{text}}"), partitions=1)
    cluster.service.refuses = True
    with pytest.raises(mm.MiniMaxError, match="not accepted") as caught:
        labelled.compute()
    assert caught.value.kind == "auth"
    assert caught.value.next_steps
    assert list(caught.value.rows.columns) == list(labelled.columns)


def test_no_key_is_anywhere(cluster: Cluster) -> None:
    """Neither this process's nor the workers' is in a pickle, a graph, a log or another file."""
    mm.map(PROMPT, REVIEWS.head(1))
    assert keys_of(cluster) == {f"Bearer {OWN_KEY}"}
    cluster.server.requests.clear()
    labelled = cluster.labelled(fileless("Judge {{text}}"), partitions=1)
    said = [cloudpickle.dumps(labelled), cloudpickle.dumps(labelled.optimize().dask)]
    said += [pickle.dumps(partial(mm.map, PROMPT)), repr(dict(labelled.dask)).encode()]
    cluster.service.refuses = True  # and its words have the key
    with pytest.raises(mm.MiniMaxError):
        labelled.compute()
    client = cluster.client
    said += [
        repr(logs).encode() for logs in (client.get_scheduler_logs(), client.get_worker_logs())
    ]
    files = [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert "cluster.log" in {path.name for path in files}
    said += [path.read_bytes() for path in files]
    for key in (KEY, OWN_KEY):
        assert [each for each in traces(key) if any(each.encode() in text for text in said)] == []
    assert any(b"Judge {{text}}" in text for text in said)
    assert any(b"not accepted" in text for text in said)


@pytest.mark.parametrize("way", [Way(3), Way(2, workers=2)], ids=lambda way: way.who)
def test_the_benchmark(cluster: Cluster, way: Way) -> None:
    """Both of the ways that `python -m bench.engines` compares ask each row once, by who they
    say."""
    assert rate(way, 8) > 0
    assert asked(cluster.server) == [f"Label this: {n}" for n in range(8)]
    assert keys_of(cluster) == {f"Bearer {KEY if way.workers else OWN_KEY}"}


def test_without_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask asks rows that it makes up, while it builds the graph."""
    with kernel(monkeypatch) as server:
        with pytest.warns(UserWarning, match="no value for {{text}}"):  # one of them has none
            dd.from_pandas(REVIEWS, npartitions=6).map_partitions(partial(mm.map, PROMPT))
        assert asked(server) != []
        assert not {f"Say {text}" for text in REVIEWS["text"]}.intersection(asked(server))


def test_threads_of_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Dask has no cluster, a large partition needs `yes=True`, as a table does."""
    with kernel(monkeypatch) as server, fresh_shell() as shell:
        shell["reviews"] = dd.from_pandas(REVIEWS, npartitions=2)
        shell.run("from functools import partial\nimport mm_magic as mm")
        shell.run(fileless(PROMPT))
        compute = "labelled.compute(scheduler='threads')"
        assert isinstance(shell.error(compute), mm.UsageError)
        assert server.requests == []
        shell.run(fileless(PROMPT).replace("parallel=1", "yes=True"))
        assert list(shell.run(compute)["n"]) == list(range(60))


def test_threads_of_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a cluster, Dask's threads share one limit."""
    at_once = AtOnce()
    with kernel(monkeypatch, at_once) as server:
        reviews = dd.from_pandas(REVIEWS, npartitions=6)
        ask = partial(mm.map, PROMPT, parallel=3)
        labelled = reviews.map_partitions(ask, meta=ask(reviews._meta))
        table = labelled.compute(scheduler="threads", num_workers=6)
        assert len(server.requests) == len(table) == 60
        assert at_once.most == 3
