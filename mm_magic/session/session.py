"""One kernel's state: what the magics, the panel and `mm.ask` share."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mm_magic.session.cells import Cells
from mm_magic.session.conversations import Conversations
from mm_magic.session.defaults import Defaults
from mm_magic.session.front_end import FrontEnd
from mm_magic.session.latest import Latest
from mm_magic.session.models import Models
from mm_magic.session.options import Options
from mm_magic.session.recordings import Recordings
from mm_magic.session.requests import Requests
from mm_magic.session.running import Running
from mm_magic.session.told import Told
from mm_magic.session.usage import Meter
from mm_magic.session.watchers import Watchers
from mm_magic.session.who_answers import Environment, WhoAnswers
from mm_magic.transport.made_once import made_once

if TYPE_CHECKING:  # they come when they are needed: %load_ext is quick
    from mm_magic.session.commits import Commits
    from mm_magic.session.comparisons import Comparisons
    from mm_magic.session.edits import Edits
    from mm_magic.session.refusals import Refusals
    from mm_magic.session.replaying import Replaying
    from mm_magic.session.rows.answers import RowAnswer
    from mm_magic.session.sender import Sender, Sources
    from mm_magic.session.turns import Turns
    from mm_magic.transport.client import Client
    from mm_magic.transport.recording.writer import Recorder


class Session:
    """Holds what one kernel, or one script, has. Each part does its own work.

    `environ` is looked up at each request. `sources` gives what answers in the place of an
    endpoint, or of the demo (None). What a session must know of the notebook (the cell, that the
    demo may answer) it is given.
    """

    def __init__(
        self, environ: Mapping[str, str] = os.environ, *, sources: "Sources | None" = None
    ) -> None:
        self._sources = sources
        self.who = WhoAnswers(Environment(environ))
        self.defaults = Defaults(environ)
        self.conversations = Conversations()
        self.recordings = Recordings()
        self.requests = Requests(self.who, self.conversations, self.recordings)
        self.told = Told()
        self.models = Models(self.who, self.recordings, self.told)
        self.watchers = Watchers()
        self.cells = Cells(self.conversations, self.told, self.watchers)
        self.latest = Latest(self.conversations)
        self.meter = Meter()
        self.running = Running(self.meter, self.watchers)
        self.front_end = FrontEnd()
        self.row_answers: dict[str, dict[str, RowAnswer]] = {}  # by server, and by request
        self.trusts_file = True  # as Jupyter does, at the start

    @property
    def options(self) -> Options:
        """The options that hold for all cells."""
        return self.defaults.options

    @options.setter
    def options(self, options: Options) -> None:
        self.defaults.options = options

    def answering(self) -> str:
        """Who answers now, in a few words. Raises as `WhoAnswers.endpoint` does."""
        if (replaying := self.recordings.replaying) is None:
            return self.who.in_words()
        fills = replaying.fills and self.requests.can_fill
        rest = "; a model is asked for what is missing" if fills else ""
        return f"{replaying.in_words()}{rest}"

    def replay(self, replaying: "Replaying | None", recorder: "Recorder | None" = None) -> None:
        """From now on a recording answers, or none; `recorder` takes down what is missing in it.

        What is told once is told again.
        """
        if replaying is not None:
            self.told.forget()
        self.recordings.replay(replaying, recorder)
        self.watchers.tell()

    # -- what the first prompt, or command, needs ---------------------------------------------

    @made_once
    def client(self) -> "Client":
        from mm_magic.transport.client import Client

        return Client()

    @made_once
    def refusals(self) -> "Refusals":
        from mm_magic.session.refusals import Refusals

        return Refusals(self.requests, self.models, self.defaults, self.told)

    @made_once
    def sender(self) -> "Sender":
        from mm_magic.session.sender import Sender

        return Sender(
            self.client, self.requests, self.models, self.refusals, self.latest, self._sources
        )

    @made_once
    def commits(self) -> "Commits":
        from mm_magic.session.commits import Commits

        return Commits(
            self.requests, self.models, self.refusals, self.latest, self.defaults, self.told
        )

    @made_once
    def turns(self) -> "Turns":
        from mm_magic.session.turns import Turns

        return Turns(self.cells, self.running, self.commits, self.sender, self.front_end)

    @made_once
    def comparisons(self) -> "Comparisons":
        from mm_magic.session.comparisons import Comparisons

        return Comparisons(self.cells, self.running, self.commits, self.sender, self.front_end)

    @made_once
    def edits(self) -> "Edits":
        from mm_magic.session.edits import Edits

        return Edits(
            self.cells, self.requests, self.running, self.latest, self.defaults, self.watchers
        )
