"""The project's benchmark: `python -m bench` in tests/ prints one table; see README.md.

Each row is compared within one run: the rounds of what is compared take turns, the least of each
counts, and the server is another process. CPU is user and system time of this process.
"""
