"""The notebook file as the memory: tests of what a restarted kernel makes of it."""
