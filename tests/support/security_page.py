"""docs/security.md: tests compare the figures in it with what they use."""

from pathlib import Path

SECURITY_PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text("utf-8")
