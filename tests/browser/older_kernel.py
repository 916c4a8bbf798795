"""Runs an older ipykernel without one fault of its own, which would hang a test now and then.

ipykernel 7.0 to 7.3 sends replies past the stream that reads the requests; a request that comes at
that moment stays unread until the next connection (its issue 1554; one page in 60). Since 7.4 the
replies go through the stream. Here they do, too; all else is as released.
"""

from ipykernel.kernelapp import IPKernelApp, launch_new_instance
from ipykernel.subshell_manager import SubshellManager


def _send_through_stream(_: SubshellManager, msg: list[bytes]) -> None:
    IPKernelApp.instance().kernel.shell_stream.send_multipart(msg)


if __name__ == "__main__":
    SubshellManager._send_on_shell_channel = _send_through_stream  # type: ignore[assignment, method-assign]
    launch_new_instance()
