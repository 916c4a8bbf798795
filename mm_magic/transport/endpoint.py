"""A server and the key for it. The key shows itself to nobody who does not ask for it by name."""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

Backend: TypeAlias = Literal["minimax", "url", "offline", "recorded"]
"""Who answered: MiniMax's own hosts, another server, the offline demo, a recording."""

OFFLINE: Backend = "offline"
DEMO_NAME = "Offline demo, not a language model"
"""What the embedded demo is called wherever it answers."""

REGIONS: Mapping[str, str] = {
    "api.minimax.io": "global",
    "api.minimaxi.com": "China",
    "api.minimax.cn": "China",
}
"""MiniMax's hosts. A key of one region is not accepted in the other."""

_KEY_KINDS = ("sk-api-", "sk-cp-")


class Secret:
    """A key that shows itself to nobody who does not ask for it by name.

    It stands in no attribute, where debuggers and inspectors look; only `reveal` knows it.
    """

    __slots__ = ("reveal",)

    def __init__(self, value: str) -> None:
        self.reveal: Callable[[], str] = lambda: value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a key can't be pickled or copied")

    def __getstate__(self) -> object:
        raise TypeError("a key can't be pickled or copied")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that speaks the Messages API, and the key for it, if there is one."""

    base_url: str
    key: Secret | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    @property
    def backend(self) -> Backend:
        """ "minimax" for MiniMax's own hosts, else "url"."""
        return "minimax" if self.host in REGIONS else "url"

    @property
    def key_kind(self) -> str:
        """How the key begins: "sk-api-" draws on a balance, "sk-cp-" on a plan; "" if neither."""
        key = self.key.reveal() if self.key else ""
        return next((kind for kind in _KEY_KINDS if key.startswith(kind)), "")

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
