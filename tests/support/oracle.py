"""What a notebook's conversations must be: the rules written once more, in plain lists and dicts.

It shares no code with the package, and is slow and simple where that is fast. `who` is the model,
the server and the system prompt of a request. A key is a cell, and the place of a turn among those
that one run of the cell makes; where cells are not known it is None.
"""

from collections.abc import Callable
from copy import deepcopy
from itertools import chain
from typing import Any, TypeAlias

Turn: TypeAlias = dict[str, Any]
Who: TypeAlias = tuple[str, str, str]
Page: TypeAlias = dict[str, list[dict[str, Any]]]
Key: TypeAlias = tuple[str, int] | None
DEMO = "offline"


class Oracle:
    """`turns` are those of each conversation, in order; `page` is what each cell's outputs tell."""

    def __init__(self) -> None:
        self.turns: dict[str, list[Turn]] = {}
        self.last: dict[str, int] = {}  # the highest number that a conversation has used
        self.lives: dict[str, str] = {}  # how it began, which tells it from others of its name
        self.changes: dict[str, int] = {}
        self.in_file = -1  # the most changes of a conversation that the file had at the start
        self.as_read: dict[str, list[Turn]] = {}  # as it was taken from a file
        self.forgotten: dict[str, list[Turn]] = {}
        self.undoable: list[tuple[str, list[int]]] = []  # forgotten since the last turn
        self.to_tell: set[Any] = set()  # the places of turns that were hidden
        self.page: Page = {}
        self.trash: Page = {}  # that of deleted cells
        self.clock = 0

    # What is sent

    def above(self, name: str | None, key: Key, server: str) -> list[Turn]:
        """The turns that go along: those that stand before this one, and the demo's to the demo."""
        turns = self.turns.get(name or "", [])
        place = next((i for i, turn in enumerate(turns) if key and turn["key"] == key), len(turns))
        return sent_to(server, turns[:place])

    def request(self, name: str | None, key: Key, who: Who, prompt: str) -> list[Any]:
        """The messages. Thinking goes along only behind the very messages that it came from."""
        messages: list[Any] = []
        for turn in self.above(name, key, who[1]):
            blocks = [b for b in turn["blocks"] if b["type"] != "text" or b["text"].strip()]
            if (turn["who"], turn["sent"]) != (who, messages):
                blocks = [b for b in blocks if b["type"] == "text"]
            while blocks[-1]["type"] == "thinking":
                blocks.pop()
            asked = {"role": "user", "content": turn["prompt"]}
            messages = [*messages, asked, {"role": "assistant", "content": blocks}]
        return [*messages, {"role": "user", "content": prompt}]

    # What happens

    def answered(self, name: str | None, key: Key, who: Who, prompt: str, blocks: Any) -> None:
        """An answer that is whole, or was stopped: with text it becomes the turn of its key."""
        if not any(b["type"] == "text" and b["text"].strip() for b in blocks):
            return
        self.undoable = []
        turn = {"key": key, "who": who, "prompt": prompt, "blocks": blocks, "hidden": False}
        turn["sent"] = self.request(name, key, who, prompt)[:-1]
        turn["made_with"] = in_short(self.above(name, key, who[1]))
        for other in self.turns:
            if key and other != name:
                self.keep(other, lambda turn: turn["key"] != key)
        if name is None:
            return
        turns = self.turns.setdefault(name, [])
        places = [i for i, old in enumerate(turns) if key and old["key"] == key]
        if places:
            old = turns[places[0]]
            self.changes[name] += old["hidden"]
            turns[places[0]] = turn | {"number": old["number"], "place": old["place"]}
            return
        self.clock += 1
        changes = self.changes.setdefault(name, self.in_file + 1)
        self.lives.setdefault(name, repr((name, prompt, blocks, changes)))
        self.last[name] = self.last.get(name, 0) + 1
        turns.append(turn | {"number": self.last[name], "place": self.clock})

    def keep(self, name: str, is_kept: Callable[[Turn], bool]) -> None:
        self.turns[name] = [turn for turn in self.turns.get(name, []) if is_kept(turn)]

    def forget(self, name: str, number: int | None = None) -> None:
        before = self.turns.get(name, [])
        self.keep(name, lambda turn: number not in (None, turn["number"]))
        gone = [turn for turn in before if turn not in self.turns[name]]
        if gone:
            self.forgotten.setdefault(name, []).extend(gone)
            self.undoable.append((name, [turn["number"] for turn in gone]))
            self.changes[name] += 1

    def hide(self, cells: set[str]) -> None:
        """These cells were deleted."""
        for name in self.turns:
            for turn in self.forgotten.get(name, []):
                turn["hidden"] |= bool(turn["key"]) and turn["key"][0] in cells
            self.change(name, True, lambda turn: turn["key"] and turn["key"][0] in cells)

    def undo(self) -> tuple[str, list[Turn]] | None:
        """Bring back what was forgotten last, as it was; None where a turn was made since."""
        while self.undoable:
            name, numbers = self.undoable.pop()
            back = [turn for turn in self.forgotten[name] if turn["number"] in numbers]
            if back:
                self.forgotten[name] = [t for t in self.forgotten[name] if t not in back]
                turns = [*self.turns[name], *back]
                self.turns[name] = sorted(turns, key=lambda turn: int(turn["number"]))
                self.changes[name] += 1
                return name, back
        return None

    def bring_back(self, name: str, number: int) -> Turn | None:
        """Send a hidden turn again, or a forgotten one unless its cell has another now."""
        forgotten = self.forgotten.get(name, [])
        for turn in [turn for turn in forgotten if turn["number"] == number]:
            keys = [each["key"] for turns in self.turns.values() for each in turns if each["key"]]
            if turn["key"] in keys:
                return None
            forgotten.remove(turn)
            back = [*self.turns[name], turn | {"hidden": False}]
            self.turns[name] = sorted(back, key=lambda turn: int(turn["number"]))
            self.changes[name] += 1 + turn["hidden"]
        self.change(name, False, lambda turn: turn["number"] == number)
        return next((t for t in self.turns.get(name, []) if t["number"] == number), None)

    def change(self, name: str, hidden: bool, is_meant: Callable[[Turn], Any]) -> None:
        meant = [t for t in self.turns.get(name, []) if is_meant(t) and t["hidden"] != hidden]
        places = {turn["place"] for turn in meant}
        if meant:
            self.changes[name] += 1
        self.to_tell = self.to_tell | places if hidden else self.to_tell - places
        self.turns[name] = [
            turn | {"hidden": hidden} if turn["place"] in places else turn
            for turn in self.turns.get(name, [])
        ]

    def notes(self, key: Key) -> set[tuple[str, int]]:
        """The turns that the next answer tells of: hidden since the one before, and not its own."""
        places, self.to_tell = self.to_tell, set()
        return {
            (name, turn["number"])
            for name, turns in self.turns.items()
            for turn in turns
            if turn["place"] in places and turn["hidden"] and turn["key"] != key
        }

    def ended(self, cell: str, begun: int | None) -> None:
        """A cell has run. One that ended well has the turns that it has `begun`, and no others."""
        beyond = [] if begun is None else [(cell, nth) for nth in range(begun, 99)]
        for name in self.turns:
            self.keep(name, lambda turn: turn["key"] not in beyond)
            for turn in self.turns[name]:
                if turn["key"] and turn["key"][0] == cell:
                    self.tell(cell, name, turn)

    def marked(self, name: str) -> set[int]:
        """The numbers of the turns that were made with others above than stand there now."""
        turns = self.turns.get(name, [])  # one that was brought back may have no key
        return {
            turn["number"]
            for place, turn in enumerate(turns)
            if not turn["hidden"]
            and turn["made_with"] != in_short(sent_to(turn["who"][1], turns[:place]))
        }

    # The file

    def tell(
        self, cell: str, name: str, turn: Turn | None = None, *, is_copy: bool = False
    ) -> None:
        """The outputs of a cell tell of a turn, and how it stands with its conversation.

        A copy stands for the turn where the outputs of its own cell do not have it any more.
        """
        self.clock += 1
        turn = turn | {"key": None, "copy": True} if turn and is_copy else turn
        told = {"at": self.clock, "name": name, "turn": turn, "turns": self.turns[name]}
        told |= {"life": self.lives[name], "changes": self.changes[name], "last": self.last[name]}
        self.page[cell].append(deepcopy(told))

    def look(self, page: Page) -> None:
        """A new kernel looks into the saved page: what it begins itself counts as later."""
        self.in_file = max((each[-1]["changes"] for each in conversations(page)), default=-1)

    def take_in(self, page: Page, file: str, last: dict[str, int]) -> None:
        """Read a saved page: of each name the conversation counts that changed last.

        Those that this kernel began itself are left as they are, and so is one that was read before
        and went on. Where the name belongs to another conversation, it is called after the file.
        `last` are the highest numbers from then on: not every page tells one that no turn bears.
        """
        begun = {life for name, life in self.lives.items() if name not in self.as_read}
        counts = {}
        for each in conversations(page):
            if each[0]["life"] not in begun:
                counts[each[-1]["name"]] = each
        taken = {name for name, turns in self.turns.items() if turns}
        for now in [each[-1] for each in counts.values()]:
            names = [name for name, life in self.lives.items() if life == now["life"]]
            if names and not same(self.turns[names[0]], self.as_read[names[0]]):
                continue
            if not names and now["name"] not in taken:
                names = [now["name"]]
            numbered = [file, *(f"{file}-{number}" for number in range(2, 99))]
            free = [each for each in numbered if each not in taken | {*counts}]
            name = [*names, *free][0]
            taken.add(name)
            is_known = self.lives.get(name) == now["life"]
            turns = self.turns[name] = as_told(now, page)
            used = self.last[name] if is_known else 0
            highest = max([0, *(turn["number"] for turn in turns)])
            assert max(used, highest) <= last[name] <= max(used, now["last"])
            self.last[name], self.lives[name] = last[name], now["life"]
            here = {turn["number"] for turn in turns}
            kept = self.forgotten.get(name, []) if is_known else []
            self.forgotten[name] = [turn for turn in kept if turn["number"] not in here]
            changes = self.changes.get(name, self.in_file + 1)
            self.changes[name] = max(changes, now["changes"]) + 1
            self.as_read[name] = [*turns]

    def restarted(self) -> "Oracle":
        """A new kernel that takes nothing from the page."""
        new = Oracle()
        new.page, new.trash, new.clock = self.page, self.trash, self.clock
        return new


def conversations(page: Page) -> list[list[Turn]]:
    """All that a page tells of each conversation, its latest word last; the latest of them last.

    Of those that changed as often it is the last in the document.
    """
    told = [*chain.from_iterable(page.values())]
    names = dict.fromkeys(each["name"] for each in told)
    by_name = [each for name in names for each in told if each["name"] == name]
    lives = dict.fromkeys(each["life"] for each in by_name)
    found = [sorted((t for t in told if t["life"] == life), key=time_of) for life in lives]
    return sorted(found, key=lambda of_life: int(of_life[-1]["changes"]))


def sent_to(server: str, turns: list[Turn]) -> list[Turn]:
    """Those of the turns that go to this server: none that is hidden, the demo's to it alone."""
    sent = [turn for turn in turns if not turn["hidden"]]
    return sent if server == DEMO else [turn for turn in sent if turn["who"][1] != DEMO]


def time_of(told: Turn) -> int:
    """When it was told."""
    return int(told["at"])


def as_told(now: Turn, page: Page) -> list[Turn]:
    """The turns of a conversation as one telling has it, if something on the page tells of them."""
    told = sorted(chain.from_iterable(page.values()), key=time_of)
    turns = sorted((t["turn"] for t in told if t["turn"]), key=lambda turn: "copy" not in turn)
    seen = {turn["place"]: turn for turn in turns}
    return [
        deepcopy(seen[turn["place"]] | {each: turn[each] for each in ("number", "hidden")})
        for turn in now["turns"]
        if turn["place"] in seen
    ]


def same(turns: list[Turn], others: list[Turn]) -> bool:
    """Whether they are the very same, not made again with the same words."""
    return list(map(id, turns)) == list(map(id, others))


def in_short(turns: list[Turn]) -> list[Any]:
    return [(turn["number"], turn["prompt"], turn["blocks"]) for turn in turns]
