"""Requests in, events out: over the network, from the offline demo, or from a recording."""
