"""What a notebook's conversations must be: the rules written once more, in plain lists and dicts.

It shares no code with the package, and is slow and simple where that is fast. `who` is the model,
server and system prompt of a request. A key is a cell, and the place of a turn among those that one
run of the cell makes; where cells are not known it is None. That of a copy is the cell that forked,
the number of the turn that it copies, and the conversation that begins with it. A turn or a pick is
never changed: what changes one puts another in its place, as a page may tell of it.

A prompt is the content of its message: words, or blocks that say how each picture looks.

A question is what the notebook said in a request: the options that it set, the words of the turns
above, and the prompt. Those who ask the same one are counted: a cell, and how often its run has
asked it before. `saved` has by demo or not, question and count the answers that may come again.
"""

import re
from collections.abc import Callable, Sequence
from itertools import chain, product
from typing import Any, TypeAlias

Turn: TypeAlias = dict[str, Any]
Who: TypeAlias = tuple[str, str, str]
Page: TypeAlias = dict[str, list[dict[str, Any]]]
Key: TypeAlias = tuple[str, int] | tuple[str, int, str] | None
Asker: TypeAlias = tuple[str, int]
Slot: TypeAlias = tuple[bool, str, int]
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
        self.picks: dict[str, list[Turn]] = {}  # which answer a cell picked for a turn, by time
        self.picks_read: dict[str, list[Turn]] = {}
        self.last_compared: tuple[str | None, int] | None = None  # its conversation, its place
        self.to_tell: set[Any] = set()  # the places of turns that were hidden
        self.page: Page = {}
        self.trash: Page = {}  # that of deleted cells
        self.clock = 0
        self.saved: dict[Slot, Turn] = {}
        self.askers: dict[str, list[Asker]] = {}  # of each question, the first at first
        self.cell = ""  # the one that runs
        self.asked: list[str] = []  # the questions of this run of it
        self.made: list[Key] = []  # the keys of the turns that came of it
        self.picked: list[Key] = []  # those of its picks, each told when it was made

    def begin(self, cell: str) -> None:
        """A cell begins to run."""
        self.cell, self.asked, self.made, self.picked = cell, [], [], []

    # What is sent

    def above(
        self, name: str | None, key: Key, server: str, without: int | None = None
    ) -> list[Turn]:
        """The turns that go along: those that stand before this one, and the demo's to the demo.

        But for the one with the number `without`.
        """
        turns = self.turns.get(name or "", [])
        place = next((i for i, turn in enumerate(turns) if key and turn["key"] == key), len(turns))
        return without_one(sent_to(server, turns[:place]), without)

    def request(
        self, name: str | None, key: Key, who: Who, prompt: Any, without: int | None = None
    ) -> list[Any]:
        """The messages. Thinking goes along only behind the very messages that it came from."""
        messages: list[Any] = []
        for turn in self.above(name, key, who[1], without):
            blocks = [b for b in turn["blocks"] if b["type"] != "text" or b["text"].strip()]
            steps = turn["steps"]
            if not has_text(blocks):  # stopped behind its calls, which do not go along
                blocks = [b for b in steps[0]["content"] if b["type"] != "tool_use"]
                steps = ()
            if (turn["who"], turn["sent"]) != (who, messages):
                blocks = [b for b in blocks if b["type"] == "text"]
                steps = [*map(without_thinking, steps)]
            while blocks[-1]["type"] == "thinking":
                blocks.pop()
            asked = {"role": "user", "content": turn["prompt"]}
            messages = [*messages, asked, *steps, {"role": "assistant", "content": blocks}]
        return [*messages, {"role": "user", "content": prompt}]

    def answer(
        self,
        name: str | None,
        key: Key,
        who: Who,
        prompt: Any,
        options: Any,
        without: int | None = None,
        *,
        is_whole: bool = True,
    ) -> Turn:
        """The answer that will be had if it is asked for now, but for what comes.

        Not `is_whole`: the turn has another prompt than this one, so that the answer's thinking
        fits nowhere.
        """
        question = in_question(options, self.above(name, key, who[1], without), prompt)
        asker = (self.cell, self.asked.count(question))
        askers = self.askers.get(question, [])
        count = askers.index(asker) if asker in askers else len(askers)
        slot = (who[1] == DEMO, question, count)
        sent = self.request(name, key, who, prompt, without)[:-1] if is_whole else None
        found = {"slot": slot, "asker": asker, "options": options, "who": who, "sent": sent}
        return found | {"asked": prompt, "without": without}

    def count(self, answer: Turn) -> Turn:
        """An answer that counts as asked for by the running cell from now on."""
        _, question, _ = answer["slot"]
        self.asked.append(question)
        askers = self.askers.setdefault(question, [])
        askers += [] if answer["asker"] in askers else [answer["asker"]]
        self.clock += 1
        return answer | {"made": self.clock}

    def is_refused(self, who: Who, messages: list[Any]) -> bool:
        """Whether they can't be sent: the demo takes four pictures where its model sees, else none.

        What other servers take is not known.
        """
        contents = [message["content"] for message in messages]
        blocks = chain.from_iterable(each for each in contents if not isinstance(each, str))
        pictures = [block for block in blocks if block["type"] == "image"]
        return who[1] == DEMO and len(pictures) > (4 if who[0] == "MiniMax-M3" else 0)

    def again(self, answer: Turn) -> Turn | None:
        """The saved answer that comes in place of this one, if it is not to be a new one."""
        found = self.saved.get(answer["slot"])
        as_saved = ("ending", "blocks", "steps", "who", "sent", "made")
        return found and answer | {each: found[each] for each in as_saved}

    # What happens

    def answered(
        self, name: str | None, key: Key, who: Who, prompt: Any, answers: Sequence[Turn]
    ) -> None:
        """Answers came, each with its ending: the first whole one becomes the turn of its key.

        Where none is whole it is the first that was stopped. No turn comes of one without text.
        """
        for each in answers:
            if each["ending"] == "whole":
                self.saved[each["slot"]] = each
        several = len(answers) > 1
        choices = {number: each for number, each in enumerate(answers, start=1) if counts(each)}
        if several:
            self.last_compared = (None, 0)
        if choices:
            place = self.became(name, key, who, prompt, choices, answers)
            if several:
                self.last_compared = (name, place)

    def became(
        self,
        name: str | None,
        key: Key,
        who: Who,
        prompt: Any,
        choices: dict[int, Turn],
        answers: Sequence[Turn],
    ) -> int:
        """A turn was made; its place. `choices` are the answers that it may have, by number."""
        self.undoable = []
        self.made.append(key)
        first = next(n for n, each in choices.items() if each is first_of(answers))
        turn: Turn = {"key": key, "prompt": prompt, "hidden": False, "is_copy": False}
        turn |= {"choices": choices, "first": first, "before": [], "answers": answers}
        turn |= {"several": len(answers) > 1, "version": 1, "former": []}
        turn |= with_answer(choices, first)
        turn["made_with"] = in_short(self.above(name, key, who[1]))
        for other in self.turns:
            if key and other != name:
                self.keep(other, lambda turn: turn["key"] != key)
        return 0 if name is None else self.put(name, turn)

    def put(self, name: str, turn: Turn) -> int:
        """A turn takes the place of the one with its key, or comes to the end; its place."""
        turns = self.turns.setdefault(name, [])
        places = [i for i, old in enumerate(turns) if turn["key"] and old["key"] == turn["key"]]
        if places:
            old = turns[places[0]]
            self.changes[name] += old["hidden"]
            self.replace(name, places[0], turn)
            return int(old["place"])
        self.clock += 1
        changes = self.changes.setdefault(name, self.in_file + 1)
        self.lives.setdefault(name, repr((name, turn["prompt"], turn["blocks"], changes)))
        self.last[name] = self.last.get(name, 0) + 1
        turns.append(turn | {"number": self.last[name], "place": self.clock})
        return self.clock

    def replace(self, name: str, place: int, turn: Turn) -> None:
        """A turn takes the place of another."""
        old = self.turns[name][place]
        turn = in_place_of(old, turn)
        changed = [(name, as_made(old))] if as_made(old) != as_made(turn) else []
        self.turns[name][place] = turn | {"before": [*old["before"], *changed]}
        self.undo_picks(name, lambda pick: pick["place"] == old["place"])

    def pick(self, key: Key, answer: int) -> tuple[str, Turn] | None:
        """A cell picks an answer; the turn that has it now, None where there is nothing to pick."""
        found = self.to_pick(key)
        if found is None or answer not in found[1]["choices"]:
            return None
        name, turn = found
        for other in self.picks:
            if key:
                self.undo_picks(other, lambda pick: pick["key"] == key)
                self.picks[other] = [each for each in self.picks[other] if each["key"] != key]
        self.clock += 1
        self.changes[name] += 1
        pick = {"key": key, "place": turn["place"], "answer": answer, "counts": True}
        pick |= {"mark": self.clock, "of": (name, as_made(turn))}
        self.picks.setdefault(name, []).append(pick)
        self.settle(name)
        if key:
            self.picked.append(key)
            self.tell(key[0], name, pick=pick)
        return name, next(t for t in self.turns[name] if t["place"] == turn["place"])

    def to_pick(self, key: Key) -> tuple[str, Turn] | None:
        """The turn that a cell chooses for: that of its pick before, else the last one compared.

        After a restart it is the last of "main". None: there is none, or it is not sent.
        """
        meant: list[tuple[str | None, int]] = [
            (name, pick["place"])
            for name, picks in self.picks.items()
            for pick in picks
            if key and pick["key"] == key and self.may_return(name, pick["place"])
        ]
        for name, place in [*meant, *([self.last_compared] if self.last_compared else [])]:
            if name is None:
                return None
            here = [turn for turn in self.turns.get(name, []) if turn["place"] == place]
            lost = [turn for turn in self.forgotten.get(name, []) if turn["place"] == place]
            keys = [turn["key"] for turn in lost if turn["key"]]
            new = [t for turns in self.turns.values() for t in turns if t["key"] in keys]
            if not here and lost and not new:
                return None
            for turn in (here or new)[:1]:
                if turn["several"]:
                    return None if turn["hidden"] else (self.name_of(turn), turn)
        main = [t for t in self.turns.get("main", []) if t["several"] and not t["hidden"]]
        return ("main", main[-1]) if main else None

    def name_of(self, turn: Turn) -> str:
        return next(n for n, ts in self.turns.items() if any(t is turn for t in ts))

    def may_return(self, name: str, place: int) -> bool:
        """Whether the turn in this place is here, or was forgotten."""
        turns = [*self.turns.get(name, []), *self.forgotten.get(name, [])]
        return place in [turn["place"] for turn in turns]

    def undo_picks(self, name: str, is_meant: Callable[[Turn], Any]) -> None:
        """These picks count no more."""
        meant = [each["mark"] for each in self.picks.get(name, []) if is_meant(each)]
        undone = [each for each in self.picks.get(name, []) if each["mark"] in meant]
        if any(each["counts"] for each in undone):
            self.changes[name] += 1
            self.picks[name] = [
                each | {"counts": False} if each["mark"] in meant and each["counts"] else each
                for each in self.picks[name]
            ]
            self.settle(name)

    def settle(self, name: str) -> None:
        """Each turn has the answer that was picked last for it, or its first one."""
        last = {each["place"]: each["answer"] for each in self.picks[name] if each["counts"]}
        for turns in (self.turns[name], self.forgotten.get(name, [])):
            for place, turn in enumerate(turns):
                answer: Any = last.get(turn["place"], turn["first"])
                if answer != turn["answer"]:
                    turns[place] = turn | with_answer(turn["choices"], answer)

    def fork(self, origin: str, name: str, cell: str, until: int | None) -> list[Key]:
        """A cell begins a conversation with copies; their keys, none where that is refused.

        One that forked it before copies no turns but those that it has copies of.
        """
        turns, there = self.turns.get(origin, []), self.turns.get(name, [])
        wanted = [t for t in turns if not t["hidden"] and (until is None or t["number"] <= until)]
        copied = [t["key"][1] for t in there if t["key"] and t["key"][::2] == (cell, name)]
        kept = [turn for turn in wanted if not copied or turn["number"] in copied]
        has_more = copied and until and [t for t in wanted if t["number"] > max(copied)]
        is_taken = not copied and [
            t for t in there if not t["key"] or t["key"][2:] or t["key"][0] != cell
        ]
        is_there = until is None or [turn for turn in turns if turn["number"] == until]
        if name == origin or has_more or is_taken or not is_there or not kept:
            return []
        self.undoable = []
        keys = [(cell, turn["number"], name) for turn in kept]
        outdated = self.marked(origin)
        for other in self.turns.keys() - {name}:
            self.keep(other, lambda turn: turn["key"] not in keys)
        self.keep(name, lambda turn: turn["key"] in keys or not of(cell, turn, copies=bool(copied)))
        for key, turn in zip(keys, kept, strict=True):
            self.put(
                name,
                turn
                | alone(turn)
                | {"key": key, "hidden": False, "is_copy": True}
                | {"version": 1, "former": []},
            )
        there = self.turns[name]
        for place, turn in enumerate(there):
            if turn["key"] in keys and turn["key"][1] in outdated:
                made_with = [(origin, *each) for each in turn["made_with"]]
                there[place] = turn | {"made_with": made_with}
            elif turn["key"] in keys:
                made_with = in_short(sent_to(turn["who"][1], there[:place]))
                there[place] = turn | {"made_with": made_with}
        return [*keys]

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
            self.forgotten[name] = [
                turn | {"hidden": True} if turn["key"] and turn["key"][0] in cells else turn
                for turn in self.forgotten.get(name, [])
            ]
            self.change(name, True, lambda turn: turn["key"] and turn["key"][0] in cells)
        for name in self.picks:
            self.undo_picks(name, lambda pick: pick["key"] and pick["key"][0] in cells)

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

    def restore_version(self, name: str, number: int, version: int) -> Turn | None:
        """Bring a former answer of a turn back: it counts as another change of the conversation."""
        turns = self.turns.get(name, [])
        for place, old in enumerate(turns):
            for former in old["former"]:
                if (old["number"], former["version"]) == (number, version):
                    self.changes[name] += 1
                    here = {"key": old["key"], "hidden": False}
                    self.replace(name, place, former | here)
                    self.save_again(name, place)
                    return self.turns[name][place]
        return None

    def save_again(self, name: str, place: int) -> None:
        """An answer that was brought back comes again for its cell, where it still belongs."""
        turn = self.turns[name][place]
        answer = turn["choices"][turn["answer"]]
        if turn["number"] not in self.marked(name) and answer["ending"] == "whole":
            _, question, count = self.slot_now(name, place, answer)
            self.saved[turn["who"][1] == DEMO, question, count] = answer

    def slot_now(self, name: str, place: int, answer: Turn) -> Slot:
        """Where the answer of a turn belongs, for who asked it."""
        server, turns = answer["who"][1], self.turns[name]
        above = without_one(sent_to(server, turns[:place]), answer["without"])
        question = in_question(answer["options"], above, answer["asked"])
        askers = self.askers.get(question, [])
        asker = answer["asker"]
        count = askers.index(asker) if asker in askers else len(askers)
        return server == DEMO, question, count

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

    def ended(
        self, cell: str, begun: int | None, picks: int = 0, copies: Sequence[Key] = ()
    ) -> None:
        """A cell has run. One that ended well has the turns that it has `begun`, and no others.

        So it is with its picks. Of copies it has those that it made.
        """
        beyond = [] if begun is None else [(cell, nth) for nth in range(begun, 99)]
        unpicked = [] if begun is None else [(cell, nth) for nth in range(picks, 99)]
        for name in self.picks:
            self.undo_picks(name, lambda pick: pick["key"] in unpicked)
            self.picks[name] = [p for p in self.picks[name] if p["key"] not in unpicked]
        for name in self.turns:
            self.keep(name, lambda turn: turn["key"] not in beyond)
            if begun is not None:
                self.keep(name, lambda t: t["key"] in copies or not of(cell, t, copies=True))
        pairs = [(name, turn) for name, turns in self.turns.items() for turn in turns]
        mine = [(name, turn) for name, turn in pairs if turn["key"] and turn["key"][0] == cell]
        order = {key: place for place, key in enumerate(self.made)}  # what it kept comes last
        for name, turn in sorted(mine, key=lambda pair: order.get(pair[1]["key"], len(order))):
            self.tell(cell, name, turn)
        for name, pick in [(each, pick) for each, picks in self.picks.items() for pick in picks]:
            here = [turn for turn in self.turns[name] if turn["place"] == pick["place"]]
            is_kept = pick["key"] and pick["key"][0] == cell and pick["key"] not in self.picked
            if here and is_kept:
                self.tell(cell, name, pick=pick | {"of": (name, as_made(here[0]))})

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
        self,
        cell: str,
        name: str,
        turn: Turn | None = None,
        *,
        is_copy: bool = False,
        pick: Turn | None = None,
    ) -> None:
        """The outputs of a cell tell of a turn, and how it stands with its conversation.

        A copy stands for the turn where the outputs of its own cell do not have it any more.
        """
        self.clock += 1
        turn = turn | {"key": None} if turn and is_copy else turn
        turn = turn and turn | {"version": 1, "former": []}  # no file has them
        told = {"at": self.clock, "name": name, "turn": turn, "turns": [*self.turns[name]]}
        told |= {"is_copy": is_copy, "pick": pick, "picks": [*self.picks.get(name, [])]}
        told |= {"life": self.lives[name], "changes": self.changes[name], "last": self.last[name]}
        self.page[cell].append(told)

    def tell_alone(self, prompt: Any, answers: Sequence[Turn]) -> None:
        """The outputs of the running cell tell of answers that stand in no conversation."""
        told = {"name": None, "life": None, "at": 0, "turn": None, "pick": None}
        self.page[self.cell].append(told | {"prompt": prompt, "answers": answers})

    def keep_answers(self, page: Page) -> None:
        """What a saved page holds may come again, but for what this kernel has itself.

        Those that answer one question are counted in the order of the page.
        """
        found: dict[str, list[Turn]] = {}
        for question, answer in answers_in(page):
            found.setdefault(question, []).append(answer)
        for question, answers in found.items():
            for count, answer in enumerate(answers):
                if answer["ending"] == "whole":
                    self.saved.setdefault((answer["who"][1] == DEMO, question, count), answer)

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
            if names and not self.is_as_read(names[0]):
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
            picks = self.picks_read[name] = picks_as_told(now, page, turns)
            left = [each["place"] for each in self.forgotten[name]]
            kept = [each for each in self.picks.get(name, []) if each["place"] in left]
            self.picks[name] = [*picks, *kept]
            self.settle(name)
            if before := [each for each in names_told(now, page) if each != name]:
                self.stay_outdated(name, before[0])
            self.as_read[name] = [*self.turns[name]]

    def stay_outdated(self, name: str, before: str) -> None:
        """Turns that are outdated when their conversation gets a new name are so until they run."""
        turns = self.turns[name]
        for place, turn in enumerate(turns):
            if turn["made_with"] != in_short(sent_to(turn["who"][1], turns[:place])):
                made_with = [(before, *each) for each in turn["made_with"]]
                turns[place] = turn | {"made_with": made_with}

    def is_as_read(self, name: str) -> bool:
        """Whether nothing happened to a conversation since it was taken from a file."""
        turns = self.turns[name]
        places = [turn["place"] for turn in turns]
        picks = [each for each in self.picks.get(name, []) if each["place"] in places]
        return same(turns, self.as_read[name]) and same(picks, self.picks_read[name])

    def restarted(self) -> "Oracle":
        """A new kernel that takes nothing from the page."""
        new = Oracle()
        new.page, new.trash, new.clock = self.page, self.trash, self.clock
        return new


class Reader:
    """Who replays a page in another kernel, and asks each question alone, in a cell of its own.

    `answers` are those of each question that are whole, by their place among all of them.
    """

    def __init__(self, page: Page) -> None:
        self.answers: dict[str, dict[int, Turn]] = {}
        self.asked: list[str] = []
        counted: list[str] = []
        for question, answer in answers_in(page):
            if answer["ending"] == "whole":
                self.answers.setdefault(question, {})[counted.count(question)] = answer
            counted.append(question)

    def answer(self, prompt: Any, options: Any) -> Turn | None:
        """The answer that comes: the next one to this question, or the last one again.

        Where there is none, it is one to a question that has other pictures; None where there is
        none of those.
        """
        question = in_question(options, [], prompt)
        answers, place = self.answers.get(question, {}), self.asked.count(question)
        if place in answers or place > max(answers, default=place):
            self.asked.append(question)
            return answers[min(place, max(answers))]
        blurred = blur(question)
        alike = [
            (other, each)
            for other, found in self.answers.items()
            for each in found.values()
            if blur(other) == blurred != other
        ]
        left = [pair for pair in alike if pair[0] not in self.asked] or alike
        place = self.asked.count(blurred)
        self.asked.append(blurred if left else question)
        return left[min(place, len(left) - 1)][1] if left else None


def blur(question: str) -> str:
    """A question, whatever its pictures look like."""
    return re.sub("'looks': '[^']*'", "", question)


def conversations(page: Page) -> list[list[Turn]]:
    """All that a page tells of each conversation, its latest word last; the latest of them last.

    Of those that changed as often it is the last in the document.
    """
    return sorted(in_order(page), key=lambda of_life: int(of_life[-1]["changes"]))


def in_order(page: Page) -> list[list[Turn]]:
    """The same, as the page tells of them first."""
    told = [each for each in chain.from_iterable(page.values()) if each["name"]]
    names = dict.fromkeys(each["name"] for each in told)
    by_name = [each for name in names for each in told if each["name"] == name]
    lives = dict.fromkeys(each["life"] for each in by_name)
    return [sorted((t for t in told if t["life"] == life), key=time_of) for life in lives]


def answers_in(page: Page) -> list[tuple[str, Turn]]:
    """The answers that a page still vouches for, each with its question; then those alone.

    A copy is no answer, and one made with other turns above could be asked for no more. Where
    several were asked for, those count, too, that are not whole. One that was asked for once counts
    once.
    """
    latest = {each[-1]["name"]: each[-1] for each in conversations(page)}
    names = dict.fromkeys(each[-1]["name"] for each in in_order(page))
    found = []
    for name in names:
        there = Oracle()
        turns = there.turns[name] = as_told(latest[name], page)
        there.picks[name] = picks_as_told(latest[name], page, turns)
        there.settle(name)
        outdated = there.marked(name)
        for place, turn in enumerate(turns):
            is_whole = turn["choices"][turn["first"]]["ending"] == "whole"
            is_left_out = turn["hidden"] or turn["is_copy"] or turn["number"] in outdated
            if is_whole and not is_left_out:
                above = sent_to(turn["who"][1], turns[:place])
                found += [(above, each) for each in turn["answers"]]
    alone: dict[int, Turn] = {}
    for told in chain.from_iterable(page.values()):
        if told["name"] is None and first_of(told["answers"])["ending"] == "whole":
            alone.setdefault(first_of(told["answers"])["made"], told)
    for told in alone.values():
        found += [([], each) for each in told["answers"]]
    return [
        (in_question(each["options"], without_one(above, each["without"]), each["asked"]), each)
        for above, each in found
    ]


def of(cell: str, turn: Turn, *, copies: bool) -> bool:
    """Whether a cell asked a turn, or, with `copies`, copied it."""
    return bool(turn["key"]) and turn["key"][0] == cell and (len(turn["key"]) == 3) is copies


def sent_to(server: str, turns: list[Turn]) -> list[Turn]:
    """Those of the turns that go to this server: none that is hidden, the demo's to it alone."""
    sent = [turn for turn in turns if not turn["hidden"]]
    return sent if server == DEMO else [turn for turn in sent if turn["who"][1] != DEMO]


def without_one(turns: list[Turn], number: int | None) -> list[Turn]:
    """The turns but for the one with this number."""
    return [turn for turn in turns if turn["number"] != number]


def time_of(told: Turn) -> int:
    """When it was told."""
    return int(told["at"])


def as_told(now: Turn, page: Page) -> list[Turn]:
    """The turns of a conversation as one telling has it, if something on the page tells of them."""
    seen: dict[int, Turn] = {}
    for told in sorted(chain.from_iterable(page.values()), key=time_of):
        if turn := told["turn"]:
            if told["is_copy"] and (before := seen.get(turn["place"])):
                turn = turn | {"key": before["key"]}
            seen[turn["place"]] = turn
    return [
        seen[turn["place"]] | {each: turn[each] for each in ("number", "hidden")}
        for turn in now["turns"]
        if turn["place"] in seen
    ]


def names_told(now: Turn, page: Page) -> list[str]:
    """The names that a conversation and its turns have on a page: a new one may be told alone."""
    places = {turn["place"] for turn in now["turns"]}
    told = sorted(chain.from_iterable(page.values()), key=time_of)
    last = {t["turn"]["place"]: t["name"] for t in told if t["turn"]}
    return [now["name"], *(name for place, name in last.items() if place in places)]


def picks_as_told(now: Turn, page: Page, turns: list[Turn]) -> list[Turn]:
    """The picks for these turns that cells of the page tell of; of each cell one.

    Of those that the latest word has as counting, those count that name the turn as it stands here.
    """
    counting = [each["mark"] for each in now["picks"] if each["counts"]]
    told = [t for t in chain.from_iterable(page.values()) if t["life"] == now["life"]]
    found = {t["pick"]["mark"]: t["pick"] for t in sorted(told, key=time_of) if t["pick"]}
    picks = []
    for pick, turn in product(found.values(), turns):
        is_it = pick["of"][1] == as_made(turn) and pick["place"] == turn["place"]
        if turn["several"] and (is_it or pick["of"] in turn["before"]):
            counts = is_it and pick["mark"] in counting and pick["answer"] in turn["choices"]
            picks.append(pick | {"place": turn["place"], "counts": counts})
    return sorted(picks, key=lambda pick: int(pick["mark"]))


def alone(turn: Turn) -> Turn:
    """What a turn has that is no comparison: one answer, which is its first."""
    answer = turn["choices"][turn["answer"]]
    choices = {"choices": {1: answer}, "first": 1, "answers": [answer]}
    return choices | with_answer({1: answer}, 1) | {"several": False, "before": []}


def with_answer(choices: dict[int, Turn], number: int) -> Turn:
    """What a turn has with this answer."""
    return {"answer": number} | {
        each: choices[number][each] for each in ("blocks", "steps", "who", "sent")
    }


def in_question(options: Any, above: list[Turn], prompt: Any) -> str:
    """What the notebook says in a request: what it thought above is not in it."""
    said = [(turn["prompt"], turn["steps"], spoken(turn["blocks"])) for turn in above]
    return repr((options, said, prompt))


def without_thinking(message: Any) -> Any:
    """A message as whoever did not think it gets it."""
    return message | {"content": [b for b in message["content"] if b["type"] != "thinking"]}


def spoken(blocks: Any) -> list[str]:
    return [b["text"] for b in blocks if b["type"] == "text" and b["text"].strip()]


def as_made(turn: Turn) -> Any:
    """What tells a turn from others in its place, whatever answer was picked since."""
    first = turn["choices"][turn["first"]]
    return turn["number"], turn["prompt"], first["steps"], first["blocks"]


def first_of(answers: Sequence[Turn]) -> Turn:
    """The answer that is drawn first: one with text, and a whole one of those."""
    found = [*filter(counts, answers)] or answers
    return next((each for each in found if each["ending"] == "whole"), found[0])


def counts(answer: Turn) -> bool:
    """Whether it is whole with text, or was stopped with text, also before a call."""
    if answer["ending"] == "stopped":
        return any(has_text(each) for each in contents_of(answer))
    return answer["ending"] == "whole" and has_text(answer["blocks"])


def contents_of(answer: Turn) -> list[Any]:
    """The blocks of each answer to a prompt: those with calls, and the last one."""
    calling = [each["content"] for each in answer["steps"] if each["role"] == "assistant"]
    return [*calling, answer["blocks"]]


def has_text(blocks: Any) -> bool:
    return any(block["type"] == "text" and block["text"].strip() for block in blocks)


def in_place_of(old: Turn, turn: Turn) -> Turn:
    """The turn with number and place of the old one, and the last three other texts there."""
    known = [*old["former"], old | alone(old) | {"former": []}]
    same_text = [each for each in known if text_of(each) == text_of(turn)]
    new = 1 + max(each["version"] for each in known)
    return turn | {
        "number": old["number"],
        "place": old["place"],
        "version": same_text[0]["version"] if same_text else new,
        "former": [each for each in known if each not in same_text][-3:],
    }


def text_of(turn: Turn) -> str:
    """The words of an answer."""
    texts = (block["text"] for block in turn["blocks"] if block["type"] == "text")
    return " ".join(" ".join(texts).split())


def same(turns: list[Turn], others: list[Turn]) -> bool:
    """Whether they are the very same, not made again with the same words."""
    return list(map(id, turns)) == list(map(id, others))


def in_short(turns: list[Turn]) -> list[Any]:
    return [(turn["number"], turn["prompt"], turn["steps"], turn["blocks"]) for turn in turns]
