"""The recording that answers and the one that is being made, and whose each of their answers is."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mm_magic.transport.made_once import made_once

if TYPE_CHECKING:  # they come when they are needed: %load_ext is quick
    from mm_magic.session.replaying import Replaying
    from mm_magic.transport.recording.writer import Recorder, Samples


class Recordings:
    """At most one recording answers, and at most one takes down what is answered.

    `replaying` answers, whoever else could; None if none does. `recorder` takes down, None if
    nothing is recorded.
    """

    def __init__(self) -> None:
        self.replaying: Replaying | None = None
        self.recorder: Recorder | None = None
        self._set_aside: Recorder | None = None  # while a recording answers
        self._is_restored = False  # what is in a file is sent, whether it is trusted or not

    def replay(self, replaying: "Replaying | None", recorder: "Recorder | None" = None) -> None:
        """From now on a recording answers, or none; `recorder` takes down what is missing in it.

        The recording that was being made goes on when none answers any more.
        """
        if self.replaying is None:
            self._set_aside = self.recorder
        if replaying is not None:
            self.recorder = recorder
        else:
            self.recorder, self._set_aside = self._set_aside, None
        self.replaying = replaying and replace(replaying, is_restored=self._is_restored)

    def restored(self) -> None:
        """What is replayed from a notebook's file may be sent on from now on."""
        self._is_restored = True
        self.replaying = self.replaying and replace(self.replaying, is_restored=True)

    def catch_up(self) -> None:
        """Take in what other kernels have added to the recording that this one fills."""
        if self.replaying is not None and self.replaying.fills and self.recorder is not None:
            self.recorder.catch_up()

    @property
    def samples(self) -> "Samples":
        """Which answer to a request belongs to whom, in the recording that answers or is made."""
        if self.replaying is not None:
            return self.replaying.replay.samples
        return self.recorder.samples if self.recorder is not None else self._samples

    @made_once
    def _samples(self) -> "Samples":
        from mm_magic.transport.recording.writer import Samples

        return Samples()
