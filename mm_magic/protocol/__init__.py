"""The Messages API as bytes and values.

Standard library only: no clock, environment, thread, file or network. The order of use:
`request` builds the body, `sse` cuts the answer into events, `events` gives them types,
`accumulate` puts them together into a `messages.Message`, `failure` names what went wrong.
"""
