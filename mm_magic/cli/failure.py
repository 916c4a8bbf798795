"""How a command says that it could not be done."""

import sys


def fail(command: str, why: str) -> int:
    """Say why on stderr, behind the name of the command; return the exit status, 1."""
    print(f"mm_magic {command}: {why}", file=sys.stderr)
    return 1
