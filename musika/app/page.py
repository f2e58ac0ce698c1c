"""The page: its layout joined to its actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import gradio as gr

from musika.app.actions import Actions
from musika.app.fields import CONTROL_PARTS
from musika.app.layout import Layout
from musika.app.wishes import CURVE, GLIDE, STEADY
from musika.checks import UserError

if TYPE_CHECKING:
    from musika.app.server import Stage

_WAITING = 24  # visitors in the queue
_QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# What can fail goes through the queue: of what does not, Gradio's page shows no errors.
_TELLING: dict[str, Any] = {**_QUIET, "queue": True, "concurrency_limit": 8, "concurrency_id": "quick"}
_QUEUED: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "make", "api_visibility": "private"}
_FIELDS = ["preset", "length", "seed", "lock", "truncation", "start", "ending", "precision"]
_FIELDS += ["loop", "loop.bars", "loop.turns", "loop.on_beat", "path", "path.repeat"]
_FIELDS += ["blend.tool", "blend.seconds", "blend.back", "blend.gain", "blend.whole", "blend.channels"]
_FIELDS += ["blend.start", "blend.length", "blend.gliding", "blend.mixing", "recording.shown"]
_RESULTS = ["player", "history", "compare", "comparing", "shown", "seed"]
_WAKE = "(...all) => { musika.wake(); return all }"  # sound is allowed only after a gesture


def build_page(stage: Stage) -> gr.Blocks:
    """Make the page.

    Args:
        stage: What is served.

    Returns:
        The blocks, with their queue.
    """
    with gr.Blocks(title="Musika", analytics_enabled=False) as blocks:
        page = _Page(blocks, stage)
        page.connect_making()
        page.connect_history()
        page.connect_fields()
        page.connect_path()
        page.connect_recording()
        page.connect_live()
    blocks.queue(default_concurrency_limit=1, max_size=_WAITING)
    return blocks


class _Page:
    """Joins components to actions."""

    def __init__(self, blocks: gr.Blocks, stage: Stage) -> None:
        self._blocks, self._actions = blocks, Actions(stage)
        self._controls = stage.shelf.all_controls()
        self.parts = Layout(stage.shelf, stage.longest).parts
        quiet = (gr.Button, gr.HTML, gr.Row, gr.Column, gr.Group, gr.File)
        self._inputs = {part for part in self.parts.values() if not isinstance(part, quiet)}
        self._fields = self._named(
            [*_FIELDS, *(name for name in self.parts if name.partition(".")[0] in self._controls)]
        )
        self._results = self._named([*_RESULTS, *(name for name in self.parts if name.startswith("same"))])

    def _named(self, names: Iterable[str]) -> list[Any]:
        """Components of some names."""
        return [self.parts[name] for name in names]

    def _run(self, action: Callable[..., dict[str, Any]], *given: Any) -> dict[Any, Any]:
        """Run an action on values by component; a user's mistake is shown as a sentence."""
        values, *rest = given
        named = {name: values[part] for name, part in self.parts.items() if part in values}
        try:
            done = action(named, *rest)
        except UserError as error:
            sentence = str(error)
            raise gr.Error(sentence[:1].upper() + sentence[1:], duration=12, print_exception=False) from None
        return {self.parts[name]: value for name, value in done.items() if name in self.parts}

    def _quick(self, action: Callable[..., dict[str, Any]]) -> Callable[..., dict[Any, Any]]:
        """A handler that answers at once."""

        def handle(values: dict[Any, Any]) -> dict[Any, Any]:
            """Run the action on the page's values."""
            return self._run(action, values)

        return handle

    def _silent(self, action: Callable[..., None]) -> Callable[..., None]:
        """A handler that changes nothing on the page."""

        def handle(values: dict[Any, Any]) -> None:
            """Run an action that changes nothing on the page."""

            def act(named: dict[str, Any]) -> dict[str, Any]:
                """Act, and leave the page as it is."""
                action(named)
                return {}

            self._run(act, values)

        return handle

    def _slow(self, action: Callable[..., dict[str, Any]]) -> Callable[..., dict[Any, Any]]:
        """A handler that shows how far it is."""

        def handle(values: dict[Any, Any], progress: gr.Progress = gr.Progress()) -> dict[Any, Any]:  # noqa: B008
            """Run the action on the page's values, and show how far it is."""
            return self._run(action, values, progress)

        return handle

    def connect_making(self) -> None:
        """Buttons that make pieces wait in the queue; one more ends what is being made."""
        parts, actions = self.parts, self._actions
        makers = {"make": actions.make, "keep": actions.keep, "blend": actions.make_blend}
        makers |= {name: actions.make_same(name[5:]) for name in parts if name[:5] == "same " and name != "same fill"}
        for name, action in makers.items():
            click = parts[name].click(lambda: gr.update(visible=True), None, [parts["cancel"]], js=_WAKE, **_QUIET)
            made = click.then(
                self._slow(action),
                self._inputs,
                self._results,
                show_progress_on=[parts["player"], *([parts["recording.shown"]] if name == "blend" else [])],
                **_QUEUED,
            )
            made.success(None, None, None, js="() => musika.show()")
            for over in (made.success, made.failure):
                over(lambda: gr.update(visible=False), None, [parts["cancel"]], **_QUIET)
        parts["cancel"].click(self._silent(actions.cancel), self._inputs, None, **_QUIET)

    def connect_history(self) -> None:
        """Pieces are shown again, compared, and put back into the fields."""
        parts, actions = self.parts, self._actions
        entered = [parts["visit"], parts["recording.shown"], *self._results]
        self._blocks.load(self._quick(actions.enter), self._inputs, entered, **_QUIET)
        replay = parts["history"].input(self._quick(actions.replay), self._inputs, self._results, js=_WAKE, **_TELLING)
        replay.success(None, None, None, js="() => musika.show()")
        parts["compare"].input(self._quick(actions.compare), self._inputs, [parts["second"]], **_TELLING)
        parts["swap"].click(None, None, None, js="() => musika.swap()")
        parts["same fill"].click(self._quick(actions.fill), self._inputs, self._fields, **_TELLING)
        parts["settings"].upload(self._quick(actions.load), self._inputs, self._fields, **_TELLING)

    def connect_fields(self) -> None:
        """A preset shows its controls; a control shows what its mode needs, and moving its slider sets it."""
        parts, actions = self.parts, self._actions
        parts["dice"].click(None, None, [parts["seed"]], js="() => String(Math.floor(Math.random() * 2 ** 32))")
        parts["seed"].input(None, None, [parts["lock"]], js="() => true")
        parts["preset"].input(self._quick(actions.choose), self._inputs, self._fields, **_QUIET)
        for name in self._controls:
            mode, first, last, curve = self._named(f"{name}.{part}" for part in CONTROL_PARTS)
            mode.change(self._quick(actions.show_mode(name)), self._inputs, [last, curve], **_QUIET)
            first.input(None, [mode], [mode], js=f"(mode) => ['{GLIDE}', '{CURVE}'].includes(mode) ? mode : '{STEADY}'")

    def connect_path(self) -> None:
        """Points are sampled, added, loaded and removed."""
        parts, actions = self.parts, self._actions
        path = self._named(["path", "path.repeat"])

        def add(values: dict[Any, Any], event: gr.EventData) -> dict[Any, Any]:
            """Add the point that was chosen in the gallery."""
            return self._run(actions.add_stop, values, str(event.point))

        parts["sample"].click(
            self._slow(actions.sample),
            self._inputs,
            [parts["gallery"]],
            js=_WAKE,
            show_progress_on=[parts["gallery"]],
            **_QUEUED,
        )
        parts["gallery"].click(add, self._inputs, path, **_QUIET)
        parts["path.file"].upload(self._quick(actions.add_file), self._inputs, path, **_TELLING)
        parts["path.clear"].click(self._quick(actions.clear), self._inputs, path, **_QUIET)

    def connect_recording(self) -> None:
        """A recording is taken, and what its tool needs is shown."""
        parts, actions = self.parts, self._actions
        file = parts["recording"]
        taken = file.upload(
            self._quick(actions.take_recording), self._inputs | {file}, [parts["recording.shown"]], **_TELLING
        )
        for over in (taken.success, taken.failure):  # the visit has it now, or nobody
            over(lambda: None, None, [file], **_QUIET)
        shown = self._named(["blend.gliding", "blend.mixing"])
        parts["blend.tool"].change(self._quick(actions.show_tool), self._inputs, shown, **_QUIET)

    def connect_live(self) -> None:
        """Endless playing begins, and follows whatever is moved."""
        parts, actions = self.parts, self._actions
        start = parts["endless"].click(
            self._quick(actions.start_live),
            self._inputs,
            self._named(["live", "seed"]),
            js=_WAKE,
            concurrency_limit=4,
            concurrency_id="live",
            api_visibility="private",
            show_progress="minimal",
            show_progress_on=[parts["endless"]],
        )
        start.success(None, [parts["live"]], None, js="(live) => { musika.play(live) }")
        names = ["preset", "seed", "truncation", "path", "path.repeat"]
        names += [f"{name}.{part}" for name in self._controls for part in CONTROL_PARTS]
        moved = [part.change for part in self._named(names)]
        gr.on(moved, self._silent(actions.change_live), self._inputs, None, trigger_mode="always_last", **_TELLING)
