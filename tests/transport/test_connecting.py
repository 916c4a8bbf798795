"""Where no connection comes about, proxies, and the list of models."""

import asyncio
import socket

import pytest
from support.loopback import Answer, Loopback, close, failure, reset, streamed, whole
from support.taking import check_captured, get, get_error, new_client

from mm_magic.errors import MiniMaxError, NetworkError, UsageError
from mm_magic.transport.client import MAX_PAGES
from mm_magic.transport.endpoint import Endpoint, Secret

# Where no connection comes about


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_refused_port(host: str) -> None:
    """A port where nobody listens is called refused, and may be tried again."""
    error = get_error(f"http://{host}:{free_port()}")
    assert str(error) == f"{host} refused the connection"
    assert (error.kind, error.retryable) == ("connection", True)


def test_what_may_have_reached_the_server() -> None:
    """A lost connection may have brought the request there, one that never came about has not."""
    with Loopback(reset) as server:
        assert sent(get_error(server.url))
    for url in (f"http://127.0.0.1:{free_port()}", "http://nowhere.invalid", "http://a..invalid"):
        assert not sent(get_error(url))


def sent(error: MiniMaxError) -> bool:
    assert isinstance(error, NetworkError)
    return error.was_sent


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 70 + ".invalid", "a..invalid"])
def test_unresolvable_name(host: str) -> None:
    """A host that has no address, or cannot have one, is an error of the connection."""
    assert get_error(f"http://{host}").kind == "connection"


def test_plain_http_behind_https() -> None:
    """A server that speaks no TLS is told apart from a bad certificate, and is not tried again."""
    with Loopback(streamed()) as server:
        error = get_error(server.url.replace("http:", "https:"))

    assert str(error) == "127.0.0.1 does not use TLS, which https:// needs"
    assert (error.kind, error.retryable) == ("connection", False)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("host", "what"),
    [
        ("me:pw@127.0.0.1", "refused the connection"),
        ("me:pw@nowhere.invalid", "could not be reached"),
    ],
)
def test_proxy_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, variable: str, host: str, what: str
) -> None:
    """Where the proxy can't be reached, its variable is named, and not the server."""
    monkeypatch.setenv(variable, f"http://{host}:{free_port()}")
    error = get_error("https://api.invalid")

    assert str(error) == f"the proxy in {variable} {what}"
    assert error.next_steps == (f"Check the environment variables {variable} and NO_PROXY.",)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_serves_other_hosts(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """The environment's proxy is asked for other hosts, and its refusal is named."""
    with Loopback(whole(407, b"", "text/plain")) as proxy:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy.url.replace("//", "//me:pw@"))
        error = get_error(f"{scheme}://api.invalid")
        (asked,) = proxy.requests

    assert (asked.method, asked.path) == (
        ("CONNECT", "api.invalid:443")
        if scheme == "https"
        else ("POST", "http://api.invalid/v1/messages")
    )
    assert "pw" not in str(error)


def test_proxy_never_serves_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request to this machine passes by the proxy, whatever the environment says."""
    with Loopback(streamed()) as proxy, Loopback(streamed()) as server:
        for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url)
        check_captured(get(server.url).message)
        assert not proxy.connections


@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize(
    "address", ["socks9://me:pw@x.invalid", "http://me:pw@x:port", "socks5://x", "http://[::1"]
)
def test_proxy_that_cannot_be(monkeypatch: pytest.MonkeyPatch, variable: str, address: str) -> None:
    """A proxy setting that can't be used is the user's error: it names the variable, and not the
    password."""
    monkeypatch.setenv(variable, address)
    monkeypatch.setenv("NO_PROXY", "[::1]")
    with pytest.raises(UsageError) as caught:
        get("http://api.invalid")
    assert variable.upper() in caught.value.card()
    assert "NO_PROXY" not in caught.value.card()
    assert "pw" not in caught.value.card()


@pytest.mark.parametrize(
    "entries",
    [
        "localhost,fe80::/10",
        "fe80::/10,[::1]",
        "[::1]:8080, [fe80::]/10",
        "fe80::1%eth0,[fe80::1%25eth0]",
        "10.0.0.0/8,10.0.0.0/33,::/129",
        "[,],[],/,:,://,http://,%",
        "*.other.invalid,.api.invalid,notapi.invalid,api.invalid:8080,https://api.invalid",
    ],
)
def test_entries_for_other_hosts(monkeypatch: pytest.MonkeyPatch, entries: str) -> None:
    """Whatever NO_PROXY holds, a host that it does not mean is asked through the proxy."""
    with Loopback(streamed()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", entries)
        check_captured(get("http://api.invalid").message)


@pytest.mark.parametrize(
    ("host", "entries"),
    [
        ("api.invalid", "*"),
        ("api.invalid", "other.invalid, API.invalid"),
        ("api.invalid", "fe80::/10 api.invalid"),
        ("a.b.api.invalid", "api.invalid"),
        ("a.api.invalid", ".api.invalid"),
        ("a.api.invalid", "*.api.invalid"),
        ("api.invalid:8080", "api.invalid:8080"),
        ("api.invalid", "api.invalid:80"),
        ("api.invalid", "http://api.invalid"),
        ("api.invalid", "all://api.invalid"),
    ],
)
def test_entry_that_means_the_host(
    monkeypatch: pytest.MonkeyPatch, host: str, entries: str
) -> None:
    """A host that an entry of NO_PROXY means is asked directly."""
    with Loopback(streamed()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", entries)
        assert get_error(f"http://{host}").kind == "connection"
        assert not proxy.connections


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
def test_two_servers_on_one_loop(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each server has its own way: one through the proxy, another past it."""

    async def main() -> list[str]:
        client, said = new_client(), []
        for url in ("https://direct.invalid", "https://api.invalid"):
            try:
                await client.models(Endpoint(url))
            except MiniMaxError as error:
                said.append(str(error))
        return said

    with Loopback(whole(407, b"", "text/plain")) as proxy:
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NO_PROXY", "direct.invalid,[::1]")
        direct, through = asyncio.run(main())
    assert "direct.invalid" in direct
    assert through == "the proxy did not let the request through"


# The list of models


def list_models(url: str) -> list[str]:
    return asyncio.run(new_client().models(Endpoint(url, Secret("sk-secret"))))


def test_models() -> None:
    """`models` gives the names that `GET /v1/models` lists, and sends the key."""
    listed = {"data": [{"id": "MiniMax-M3", "type": "model"}, {"id": None}, 7], "has_more": False}
    with Loopback(whole(200, listed)) as server:
        assert list_models(server.url) == ["MiniMax-M3"]
        (sent,) = server.requests
    assert (sent.method, sent.path) == ("GET", "/v1/models")
    assert sent.headers["authorization"] == "Bearer sk-secret"


def page(*names: str, **more: object) -> Answer:
    """A page of the list of models; there is another one unless `more` says that there is none."""
    listed = [{"id": name, "type": "model"} for name in names]
    last = names[-1] if names else None
    ends = {"has_more": True, "first_id": names[0] if names else None, "last_id": last}
    return whole(200, {"data": listed, **ends, **more})


def test_pages_of_models() -> None:
    """Every page is asked for, each behind the last model of the page before it."""
    pages = page("a", "b"), page("c/d e&f=ö?#"), page("g", has_more=False)
    with Loopback(*pages) as server:
        assert list_models(server.url) == ["a", "b", "c/d e&f=ö?#", "g"]
        asked = [request.path for request in server.requests]
        keys = {request.headers["authorization"] for request in server.requests}

    assert asked == [
        "/v1/models",
        "/v1/models?after_id=b",
        "/v1/models?after_id=c%2Fd%20e%26f%3D%C3%B6%3F%23",
    ]
    assert keys == {"Bearer sk-secret"}


def test_pages_without_a_last_id() -> None:
    """Where a page does not name its last model, it is the last one that it lists."""
    with Loopback(page("a", "b", last_id=None), page("c", has_more=False)) as server:
        assert list_models(server.url) == ["a", "b", "c"]
        assert server.requests[-1].path == "/v1/models?after_id=b"


@pytest.mark.parametrize(
    ("pages", "names", "asked"),
    [
        ([page("a", "b")], ["a", "b"], 2),  # it knows no pages, and says that there are more
        ([page("a"), page("b"), page("a")], ["a", "b"], 3),
        ([page("a"), page("b", last_id="a")], ["a", "b"], 2),
        ([page("a"), page("b"), page("c", last_id="a")], ["a", "b", "c"], 3),
        ([page("a"), page()], ["a"], 2),
        ([page()], [], 1),
        ([page("a", last_id=7, data=[{}])], [], 1),
        ([page("a", has_more="yes")], ["a"], 1),
        ([page("a", has_more=1)], ["a"], 1),
        ([page("x" * 100_000)], ["x" * 100_000], 1),
        ([page("a", last_id="\r\nx: y"), page("b", has_more=False)], ["a", "b"], 2),
        ([page("a"), failure(400, "after_id is unknown (2013)")], ["a"], 2),
        ([page("a"), failure(500, "busy (1000)")], ["a"], 2),
        ([page("a"), whole(200, {"data": None})], ["a"], 2),
        ([page("a"), whole(200, b"<html>", "text/html")], ["a"], 2),
        ([page("a"), close], ["a"], 2),
    ],
)
def test_pages_of_a_server_that_is_wrong(pages: list[Answer], names: list[str], asked: int) -> None:
    """A page that is none, or brings nothing new, ends the list; what came before it counts."""
    with Loopback(*pages) as server:
        assert list_models(server.url) == names
        assert len(server.requests) == asked


def test_pages_without_an_end() -> None:
    """A server that always has more is asked for so many pages and no more."""
    with Loopback(*(page(f"m{n}") for n in range(2 * MAX_PAGES))) as server:
        assert list_models(server.url) == [f"m{n}" for n in range(MAX_PAGES)]
        assert len(server.requests) == MAX_PAGES


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (failure(401, "invalid api key (2049)", "authentication_error"), "auth"),
        (whole(200, {"base_resp": {"status_code": 2049, "status_msg": "invalid key"}}), "auth"),
        (whole(200, b"<html>Log in</html>", "text/html"), "protocol"),
        (whole(404, b"404 page not found", "text/plain"), "not_found"),
    ],
)
def test_models_failing(answer: Answer, kind: str) -> None:
    """What is no list of models is the error that it stands for."""
    with Loopback(answer) as server, pytest.raises(MiniMaxError) as caught:
        list_models(server.url)
    assert caught.value.kind == kind
