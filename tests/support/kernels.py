"""A real kernel for tests, spoken to as a notebook's front end does.

    with Kernel(folder) as kernel:
        cell = kernel.run("%%minimax\\nWhy?", cell_id="a")
        assert cell.status == "ok"

The kernel sees none of the user's keys and settings, and writes into `folder` alone.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from jupyter_client.manager import KernelManager

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient

TURN = "application/vnd.minimax.turn+json"
LIMIT = 60.0  # seconds: no cell of the suite takes nearly as long

Message = dict[str, Any]
Bundle = dict[str, Any]


def clean_environment(folder: Path) -> dict[str, str]:
    """This process's environment without what could spend a user's key; settings in `folder`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MINIMAX_", "ANTHROPIC_"))}
    return kept | {"IPYTHONDIR": str(folder)}


@dataclass
class Cell:
    """One execution. `messages` are what came on iopub, as they came."""

    messages: list[Message] = field(default_factory=list)
    reply: Message = field(default_factory=dict)

    @property
    def status(self) -> str:
        """ "ok", "error" or "aborted"."""
        return str(self.reply["status"])

    @property
    def ename(self) -> str:
        """The name of the error's class, "" if there is none."""
        return str(self.reply.get("ename", ""))

    @property
    def traceback(self) -> str:
        """What the front end shows as the error."""
        lines = (m["content"]["traceback"] for m in self.of("error"))
        return "\n".join("\n".join(each) for each in lines)

    @property
    def stdout(self) -> str:
        return "".join(m["content"]["text"] for m in self.of("stream"))

    @property
    def displays(self) -> list[Bundle]:
        """What the notebook file keeps: each display in its last form, in order."""
        shown: dict[str, Bundle] = {}
        for number, message in enumerate(self.messages):
            if message["msg_type"] in ("display_data", "update_display_data"):
                content = message["content"]
                shown[content["transient"].get("display_id", str(number))] = content["data"]
        return list(shown.values())

    @property
    def shown(self) -> str:
        """All that is kept, as plain text."""
        texts = [bundle["text/plain"] for bundle in self.displays]
        texts += [m["content"]["data"]["text/plain"] for m in self.of("execute_result")]
        return "\n".join([self.stdout, *texts, self.traceback])

    @property
    def saved(self) -> Bundle:
        """The turn as the notebook file keeps it."""
        (turn,) = (bundle[TURN] for bundle in self.displays if TURN in bundle)
        return dict(turn)

    def of(self, kind: str) -> list[Message]:
        return [message for message in self.messages if message["msg_type"] == kind]


class Kernel:
    """One kernel and its client. `environment` is added to the clean one."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str] | None = None, *, cwd: Path | None = None
    ) -> None:
        self._manager = KernelManager(connection_file=str(folder / f"kernel-{id(self)}.json"))
        self._manager.start_kernel(
            env=clean_environment(folder) | dict(environment or {}),
            cwd=str(cwd or folder),
        )
        self._client = self._connected()
        self.page = str(self._client.session.session)  # a page that is loaded again has another

    def _connected(self) -> "BlockingKernelClient":
        client: BlockingKernelClient = self._manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=LIMIT)
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()

    def restart(self, *, is_killed: bool = False) -> None:
        """Another process for the same page, as Jupyter's button gives, or after a kernel died."""
        self._client.stop_channels()
        if is_killed:
            self._manager.signal_kernel(signal.SIGKILL)
        self._manager.restart_kernel(now=is_killed)
        self._client = self._connected()

    def send(
        self,
        code: str,
        *,
        cell_id: str | None = None,
        allow_stdin: bool = True,
        deleted: Sequence[str] = (),
    ) -> str:
        """Ask for one execution, as JupyterLab does with `cell_id`; return the message's id.

        `deleted` are the ids of the cells that were deleted since the last one.
        """
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": allow_stdin,
            "stop_on_error": True,
        }
        message = self._client.session.msg("execute_request", content)
        message["header"]["session"] = self.page
        if cell_id is not None:
            message["metadata"] = {"cellId": cell_id, "deletedCells": list(deleted)}
        self._client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def wait_until_queued(self) -> None:
        """Return when all that was sent waits in the kernel: a cell's error aborts only that.

        One thread of the kernel reads requests in their order and hands them on; so it has handed
        on all others when a subshell answers the last.
        """
        session, control = self._client.session, self._client.control_channel
        control.send(session.msg("create_subshell_request"))
        made = self._client.get_control_msg(timeout=LIMIT)["content"]["subshell_id"]
        last = session.msg("kernel_info_request")
        last["header"]["subshell_id"] = made
        self._client.shell_channel.send(last)
        assert self._client.get_shell_msg(timeout=LIMIT)["msg_type"] == "kernel_info_reply"
        control.send(session.msg("delete_subshell_request", {"subshell_id": made}))
        self._client.get_control_msg(timeout=LIMIT)

    def collect(
        self,
        number: str,
        when: Callable[[Cell], bool] | None = None,
        do: Callable[[Cell], None] | None = None,
    ) -> Cell:
        """Wait for the end of an execution. The first time that `when` holds, interrupt it.

        Or `do` something else then.
        """
        cell, limit = Cell(), time.monotonic() + LIMIT
        while True:
            if when is not None and when(cell):
                when = None
                if do is None:
                    self.interrupt()
                else:
                    do(cell)
            message = self._client.get_iopub_msg(timeout=max(0.0, limit - time.monotonic()))
            if message["parent_header"].get("msg_id") != number:
                continue
            cell.messages.append(message)
            if message["content"].get("execution_state") == "idle":
                break
        while not cell.reply:
            reply = self._client.get_shell_msg(timeout=LIMIT)
            if reply["parent_header"].get("msg_id") == number:
                cell.reply = reply["content"]
        return cell

    def run(
        self,
        code: str,
        *,
        cell_id: str | None = None,
        allow_stdin: bool = True,
        deleted: Sequence[str] = (),
        when: Callable[[Cell], bool] | None = None,
    ) -> Cell:
        """Run one cell to its end."""
        number = self.send(code, cell_id=cell_id, allow_stdin=allow_stdin, deleted=deleted)
        return self.collect(number, when)

    def run_and_type(
        self, code: str, typed: str, *, stop_at: Event | None = None
    ) -> tuple[Cell, Message]:
        """Run a cell that asks for a line; return it, and the kernel's request for the line.

        `stop_at` interrupts it when that event is set.
        """
        number = self.send(code)
        request = self._client.get_stdin_msg(timeout=LIMIT)
        self._client.input(typed)
        if stop_at is not None:
            assert stop_at.wait(LIMIT)
            self.interrupt()
        return self.collect(number), dict(request["content"])

    def wait_for_question(self) -> None:
        """Return when the kernel waits for a line."""
        self._client.get_stdin_msg(timeout=LIMIT)

    def complete(self, code: str, below: str = "") -> list[str]:
        """What Tab offers at the end of `code`, which stands above the rest of its cell."""
        reply = self._client.complete(code + below, len(code), reply=True, timeout=LIMIT)
        return list(reply["content"]["matches"])

    def click(self, cell: Cell, button: str) -> None:
        """Click a button of a running cell, as its front end does."""
        opened = (message["content"] for message in cell.of("comm_open"))
        (comm,) = (
            content["comm_id"]
            for content in opened
            if content["data"]["state"].get("description") == button
        )
        click = {"method": "custom", "content": {"event": "click"}}
        message = self._client.session.msg("comm_msg", {"comm_id": comm, "data": click})
        self._client.shell_channel.send(message)

    def interrupt(self) -> None:
        self._manager.interrupt_kernel()

    def fresh(self, url: str = "") -> None:
        """Load the extension with nothing remembered; the server at `url` answers, or the demo."""
        self.run(
            "import os, mm_magic.session.api\n"
            "%unload_ext mm_magic\n"
            "mm_magic.session.api.forget_session()\n"
            f"os.environ['MINIMAX_BASE_URL'] = {url!r}\n"
            "%load_ext mm_magic"
        )

    def open_comm(self, target: str) -> None:
        """Send what a widget's front end sends; the kernel's loop must be free to see it."""
        content = {"comm_id": "c", "target_name": target, "data": {}}
        self._client.shell_channel.send(self._client.session.msg("comm_open", content))
