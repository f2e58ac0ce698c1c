"""What the page does: values of its fields by name go in, new values by name come out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from musika.app import cards, fields
from musika.app.recordings import read_blend, recording_html, take_recording
from musika.app.studio import change_wish, make
from musika.app.visits import Visit
from musika.app.wishes import CURVE, GLIDE, Wish, control_modes, show_clock
from musika.checks import check_integer
from musika.gan.coordinates import draw_seed

if TYPE_CHECKING:
    from musika.app.server import Stage

Values = dict[str, Any]
CHANGES = [
    ("another seed", "seed"),
    ("what comes next", "next"),
    ("calmer", "truncation*0.75"),
    ("wilder", "truncation*1.33"),
]
RATIOS = {
    "tempo": [("slower", 0.9), ("faster", 1.1)],
    "note_density": [("sparser", 0.7), ("denser", 1.4)],
}
MOST_ITEMS = 20
PREVIEWS, PREVIEW_SECONDS = 6, 5.0


def _no_progress(share: float, desc: str = "") -> None:
    """Show no progress."""


class Actions:
    """What visitors can do.

    Args:
        stage: What is served.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage, self._shelf = stage, stage.shelf

    def enter(self, values: Values) -> Values:
        """Somebody opens the page, or comes back to it.

        Args:
            values: ``visit``, the key that the browser remembers.

        Returns:
            The visit's key and pieces.
        """
        visit = self._stage.visits.open(values["visit"])
        latest = max(visit.pieces, default=None)
        shown = {"visit": visit.key, "seed": str(draw_seed()), "recording.shown": recording_html(visit.recording)}
        return shown | self._results(visit, latest, autoplay=False)

    def make(self, values: Values, progress: Callable[..., Any] = _no_progress) -> Values:
        """Make a piece, or several with one seed after the other.

        Args:
            values: The fields.
            progress: Called with the share that is done and a text.

        Returns:
            What the page shows of them.

        Raises:
            UserError: If a field is wrong.
        """
        visit, wish = self._read(values)
        count = check_integer(int(values.get("count") or 1), "how many", 1, MOST_ITEMS)
        return self._make_all(visit, [replace(wish, seed=wish.seed + item) for item in range(count)], progress)

    def make_same(self, change: str) -> Callable[..., Values]:
        """Make the piece that is shown again, but for one thing.

        Args:
            change: What to change, see `musika.app.studio.change_wish`.

        Returns:
            An action.
        """

        def act(values: Values, progress: Callable[..., Any] = _no_progress) -> Values:
            """Make the shown piece again, but for one thing."""
            visit = self._visit(values)
            wish = visit.piece(values["shown"]).wish
            changed = change_wish(wish, change, self._shelf.controls(wish.preset), draw_seed)
            return self._make_all(visit, [changed], progress)

        return act

    def make_blend(self, values: Values, progress: Callable[..., Any] = _no_progress) -> Values:
        """Make a piece with the visitor's recording.

        Args:
            values: The fields.
            progress: Called with the share that is done and a text.

        Returns:
            What the page shows of it.

        Raises:
            UserError: If there is no recording, or a field is wrong.
        """
        blend = read_blend(values, self._visit(values).recording)
        if blend.how.tool == "codec":
            wish = fields.read_alone(self._shelf, values, blend)
            shown = self._make_all(self._visit(values), [wish], progress)
            return {name: value for name, value in shown.items() if name != "seed"}
        visit, wish = self._read(values)
        return self._make_all(visit, [replace(wish, blend=blend)], progress)

    def take_recording(self, values: Values) -> Values:
        """Keep an uploaded recording for this visit."""
        visit = self._visit(values)
        visit.use(take_recording(values["recording"], visit.folder / "recordings"))
        return {"recording.shown": recording_html(visit.recording)}

    def show_tool(self, values: Values) -> Values:
        """Show what is needed for what happens with a recording."""
        tool = values["blend.tool"]
        return {
            "blend.gliding": gr.update(visible=tool == "glide"),
            "blend.mixing": gr.update(visible=tool == "mix"),
        }

    def cancel(self, values: Values) -> None:
        """End what is being made; it stays as long as it is."""
        self._visit(values).stopping.set()

    def replay(self, values: Values) -> Values:
        """Show a piece of the history."""
        visit, number = self._visit(values), values["history"]
        shown = {"player": cards.player_html(visit, number), "shown": number}
        return shown | self._offered_changes(visit, number)

    def compare(self, values: Values) -> Values:
        """Show a second piece below the first."""
        number = values["compare"]
        return {"second": cards.player_html(self._visit(values), number, autoplay=False) if number else ""}

    def fill(self, values: Values) -> Values:
        """Put the settings of the piece that is shown into the fields."""
        visit = self._visit(values)
        return self._write(visit.piece(values["shown"]).wish, visit)

    def load(self, values: Values) -> Values:
        """Put the settings of a file into the fields."""
        visit = self._visit(values)
        wish, sentences = fields.read_settings(self._shelf, values["settings"], visit.recordings)
        _warn(sentences)
        return self._write(wish, visit)

    def choose(self, values: Values) -> Values:
        """Show the controls of a preset: those that it has, in its ranges."""
        shelf, preset = self._shelf, values["preset"]
        here, usual = shelf.controls(preset), fields.usual_fields(shelf, preset)
        updates: Values = {"loop.bars": gr.update(visible=shelf.has_clock(preset))}
        for name in shelf.all_controls():
            updates[f"{name}.group"] = gr.update(visible=name in here)
            if name not in here:
                continue
            control = here[name]
            mode = values.get(f"{name}.mode")
            modes = control_modes(control)
            updates[f"{name}.mode"] = gr.update(choices=modes, value=mode if mode in modes else modes[0])
            if control.classes:
                updates[f"{name}.first"] = gr.update(choices=list(control.classes), value=usual[f"{name}.first"])
                continue
            for part in ("first", "last"):
                value = values.get(f"{name}.{part}")
                fits = isinstance(value, (int, float)) and control.low <= value <= control.high
                value = value if fits else usual[f"{name}.{part}"]
                updates[f"{name}.{part}"] = gr.update(minimum=control.low, maximum=control.high, value=value)
        return updates

    def show_mode(self, name: str) -> Callable[..., Values]:
        """Show what a control's mode needs.

        Args:
            name: The control.

        Returns:
            An action.
        """

        def act(values: Values) -> Values:
            """Show the fields that the mode needs."""
            mode = values[f"{name}.mode"]
            shown = {"last": mode == GLIDE, "curve": mode == CURVE}
            return {f"{name}.{part}": gr.update(visible=visible) for part, visible in shown.items()}

        return act

    def sample(self, values: Values, progress: Callable[..., Any] = _no_progress) -> Values:
        """Make previews of some points.

        Args:
            values: The fields.
            progress: Called with the share that is done and a text.

        Returns:
            The gallery.

        Raises:
            UserError: If a field is wrong.
        """
        visit, wish = self._read({**values, "path": [], "loop": False, "start": "0"})
        wish = replace(wish, seconds=PREVIEW_SECONDS, ending="wav")
        numbers = []
        for item in range(PREVIEWS):
            progress(item / PREVIEWS, desc=f"point {item + 1} of {PREVIEWS}")
            number = visit.next_number(preview=True)
            made, _ = make(self._shelf, replace(wish, seed=draw_seed()), visit.folder, f"preview{number}")
            visit.add_preview(number, made)
            numbers.append(number)
        return {"gallery": cards.gallery_html(visit, numbers)}

    def add_stop(self, values: Values, point: str) -> Values:
        """Add a point to the path.

        Args:
            values: The fields.
            point: Its seed.

        Returns:
            The path's rows.
        """
        rows = [list(row) for row in values.get("path") or [] if row and str(row[0] or "").strip()]
        return {"path": [*rows, [point, "", "", ""]]}

    def add_file(self, values: Values) -> Values:
        """Add the point or path of a file to the path."""
        visit = self._visit(values)
        rows = self.add_stop(values, "")["path"][:-1]
        return {"path": rows + fields.read_points_file(values["path.file"], visit.points)}

    def clear(self, values: Values) -> Values:
        """Remove the path."""
        return {"path": [["", "", "", ""]], "path.repeat": False}

    def start_live(self, values: Values) -> Values:
        """Begin to play without end.

        Args:
            values: The fields.

        Returns:
            The stream's name and what the script needs to know of it.

        Raises:
            UserError: If a field is wrong, or too many listen.
        """
        _, wish = self._read(values)
        self._stage.listeners.close(_live_name(values))
        name = self._stage.listeners.open(wish)
        listener = self._stage.listeners.find(name)
        live = {"name": name, "rate": listener.rate, "start": wish.start}
        return {"live": json.dumps(live), "seed": str(wish.seed)}

    def change_live(self, values: Values) -> None:
        """Let what plays follow the fields; nothing happens while nothing plays."""
        listener = self._stage.listeners.get(_live_name(values))
        if listener is None:
            return
        if not str(values.get("seed") or "").strip():
            values = {**values, "seed": listener.wish.seed}
        visit = self._visit(values)
        listener.change(fields.read_wish(self._shelf, values, self._stage.longest, visit.points))
        _warn(listener.told)

    def keep(self, values: Values, progress: Callable[..., Any] = _no_progress) -> Values:
        """Make a piece of the last minute that played.

        Args:
            values: The fields.
            progress: Called with the share that is done and a text.

        Returns:
            What the page shows of it.

        Raises:
            UserError: If nothing plays.
        """
        listener = self._stage.listeners.find(_live_name(values))
        return self._make_all(self._visit(values), [listener.last_minute()], progress)

    def _visit(self, values: Values) -> Visit:
        """Whose page it is."""
        return self._stage.visits.find(values["visit"])

    def _read(self, values: Values) -> tuple[Visit, Wish]:
        """Who asks, and what for; a seed that is not kept is drawn anew."""
        visit = self._visit(values)
        if not values.get("lock"):
            values = {**values, "seed": draw_seed()}
        return visit, fields.read_wish(self._shelf, values, self._stage.longest, visit.points)

    def _make_all(self, visit: Visit, wishes: list[Wish], progress: Callable[..., Any]) -> Values:
        """Make pieces and show the first."""
        visit.stopping.clear()
        numbers = []
        for item, wish in enumerate(wishes):
            wish.check(self._stage.longest)
            which = f"{item + 1} of {len(wishes)}: " if len(wishes) > 1 else ""

            def show(done: float, whole: float, which: str = which) -> None:
                """Tell how far the making is."""
                progress(done / whole, desc=f"{which}{show_clock(round(done))} of {show_clock(round(whole))}")

            number = visit.next_number()
            name = f"musika-{number}-{wish.preset}-{wish.seed if wish.blend is None else wish.blend.how.tool}"
            name = name.replace("/", "_")
            made, sentences = make(
                self._shelf, wish, visit.folder, name, show, visit.stopping.is_set, self._stage.longest
            )
            _warn(sentences)
            visit.add(number, made)
            numbers.append(number)
            if visit.stopping.is_set():
                break
        return {**self._results(visit, numbers[0]), "seed": str(wishes[0].seed)}

    def _results(self, visit: Visit, number: int | None, autoplay: bool = True) -> Values:
        """What the page shows of a visit."""
        lines = cards.history_choices(visit)
        return {
            "player": cards.player_html(visit, number, autoplay) if number else cards.EMPTY,
            "history": gr.update(choices=lines, value=number, visible=bool(lines)),
            "compare": gr.update(choices=lines),
            "comparing": gr.update(visible=len(lines) > 1),
            "same": gr.update(visible=bool(lines)),
            "shown": number,
        } | self._offered_changes(visit, number)

    def _offered_changes(self, visit: Visit, number: int | None) -> Values:
        """The buttons of changes that the preset of a piece can follow."""
        here = self._shelf.controls(visit.piece(number).wish.preset) if number else {}
        offered = {name for name in self._shelf.all_controls() if name in RATIOS}
        return {
            f"same {name}*{ratio}": gr.update(visible=name in here) for name in offered for _, ratio in RATIOS[name]
        }

    def _write(self, wish: Wish, visit: Visit) -> Values:
        """Write a wish into the fields, and keep its seed."""
        told = fields.write_fields(self._shelf, wish, visit.points)
        written: Values = self.choose(fields.usual_fields(self._shelf, wish.preset) | told) | {"lock": True}
        if wish.blend is not None:
            if wish.blend.recording.path.is_file():
                visit.use(wish.blend.recording)
            written |= self.show_tool(told) | {"recording.shown": recording_html(visit.recording)}
        for name, value in told.items():
            old = written.get(name)
            written[name] = {**old, "value": value} if isinstance(old, dict) else value
        return written


def _live_name(values: Values) -> str | None:
    """The name of the endless stream that a page plays."""
    try:
        return str(json.loads(values.get("live") or "")["name"])
    except (ValueError, KeyError, TypeError):
        return None


def _warn(sentences: list[str]) -> None:
    """Show sentences that are no mistakes."""
    for sentence in sentences:
        gr.Warning(sentence[:1].upper() + sentence[1:])
