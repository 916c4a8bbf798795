"""Measure, and print the tables. The exit status says whether every row was met."""

import argparse
import sys

from bench import browser, kernel, page, resumed, saved, startup, wire
from bench.table import markdown, where_and_when


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer rounds: two and a half minutes")
    is_short: bool = parser.parse_args().short
    rows = [
        *startup.rows(is_short=is_short),
        *wire.rows(is_short=is_short),
        *page.rows(is_short=is_short),
        *saved.rows(),
        *kernel.rows(is_short=is_short),
        *resumed.rows(is_short=is_short),
        *browser.rows(is_short=is_short),
    ]
    print(f"Measured {where_and_when()}.\n\n{markdown(rows)}\n\n{saved.shares()}")
    return 0 if all(row.is_met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
