"""What the page shows: every component by its name. What they do is said in ``page.py``."""

from __future__ import annotations

from typing import Any

import gradio as gr

from musika.app import cards
from musika.app.actions import CHANGES, RATIOS
from musika.app.fields import LENGTHS, STOP_PARTS, control_step, usual_fields
from musika.app.recordings import LONGEST_RECORDING, NOTHING, TOOLS
from musika.app.shelf import Shelf
from musika.app.wishes import ENDINGS, control_modes, read_clock, show_clock
from musika.gan.coordinates import draw_seed
from musika.settings import ControlConfig


class Layout:
    """The components, laid out where they are made.

    Args:
        shelf: The presets.
        longest: Greatest length of a piece, in seconds.

    Attributes:
        parts: Components by name. Those with a name of `musika.app.fields.read_wish` are what a wish is read from.
    """

    def __init__(self, shelf: Shelf, longest: float) -> None:
        self._shelf, self._longest = shelf, longest
        self.parts: dict[str, Any] = {}
        gr.HTML(cards.HEAD)
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                self._ask()
            with gr.Column(scale=3, min_width=320):
                self._answer()

    def _add(self, name: str, component: Any) -> None:
        """Keep a component by its name."""
        self.parts[name] = component

    def _ask(self) -> None:
        """What is asked for."""
        shelf, add = self._shelf, self._add
        add("preset", gr.Radio(shelf.names, value=shelf.names[0], label="Preset", elem_id="mk-preset"))
        lengths = [text for text in LENGTHS if read_clock(text, "") <= self._longest] or [f"{self._longest:g}"]
        usual = lengths[min(2, len(lengths) - 1)]
        label = "Length (choose, or type 45 s, 1:30, 2 h)"
        add("length", gr.Dropdown(lengths, value=usual, allow_custom_value=True, label=label, elem_id="mk-length"))
        with gr.Row(elem_classes="mk-tight"):
            add("make", gr.Button("▶ Make a piece", variant="primary", elem_id="mk-make", min_width=140))
            add("endless", gr.Button("∞ Play endlessly", elem_id="mk-endless", min_width=140))
        add("cancel", gr.Button("■ Stop here, keep what is made", visible=False, size="sm", elem_id="mk-cancel"))
        with gr.Row(elem_classes="mk-tight"):
            add("seed", gr.Textbox(str(draw_seed()), label="Seed", elem_id="mk-seed", min_width=120, scale=3))
            add("dice", gr.Button("🎲", elem_id="mk-dice", min_width=44, scale=1))
            add("lock", gr.Checkbox(False, label="🔒 keep", elem_id="mk-lock", min_width=80, scale=2))
        label = "Variety (1 typical, 3 adventurous)"
        add("truncation", gr.Slider(0.5, 4.0, 2.0, step=0.1, label=label, elem_id="mk-truncation"))
        for name, control in shelf.all_controls().items():
            self._ask_control(name, control)
        self._ask_loop()
        self._ask_path()
        self._ask_recording()
        with gr.Accordion("More", open=False):
            add("start", gr.Textbox("0:00", label="Start time in the endless piece", elem_id="mk-start"))
            with gr.Row():
                add("ending", gr.Dropdown(list(ENDINGS), value="wav", label="File", min_width=90))
                add("count", gr.Number(1, precision=0, label="How many", min_width=90, elem_id="mk-count"))
                add(
                    "precision",
                    gr.Dropdown(["auto", "float32", "bfloat16"], value="auto", label="Precision", min_width=90),
                )
            add("settings", gr.UploadButton("Take settings from a file (.json)", file_types=[".json"], size="sm"))

    def _ask_control(self, name: str, control: ControlConfig) -> None:
        """How a control is set, and to what."""
        shelf, add = self._shelf, self._add
        label = name.replace("_", " ").capitalize() + (f" ({control.unit})" if control.unit else "")
        usual = next(usual_fields(shelf, preset) for preset in shelf.names if name in shelf.controls(preset))
        span: dict[str, Any] = {"minimum": control.low, "maximum": control.high, "step": control_step(control)}
        with gr.Group(visible=name in shelf.controls(shelf.names[0]), elem_id=f"mk-control-{name}") as group:
            add(f"{name}.mode", gr.Radio(control_modes(control), value=usual[f"{name}.mode"], label=label))
            if control.classes:
                add(f"{name}.first", gr.Dropdown(list(control.classes), value=usual[f"{name}.first"], show_label=False))
            else:
                first = gr.Slider(**span, value=usual[f"{name}.first"], label="Value", elem_id=f"mk-{name}")
                add(f"{name}.first", first)
            last = control.high if control.classes else usual[f"{name}.last"]
            add(
                f"{name}.last",
                gr.Slider(**span, value=last, label="At the end", visible=False, elem_id=f"mk-{name}-last"),
            )
            hint = "A time and a value on each line"
            add(f"{name}.curve", gr.Textbox(label=hint, lines=3, placeholder="0:00 120\n0:30 140", visible=False))
        add(f"{name}.group", group)

    def _ask_loop(self) -> None:
        """Whether it becomes a loop."""
        add = self._add
        with gr.Accordion("Loop", open=False, elem_id="mk-loop-box"):
            add("loop", gr.Checkbox(False, label="Make a seamless loop", elem_id="mk-loop"))
            with gr.Row():
                clocked = self._shelf.has_clock(self._shelf.names[0])
                label = "Bars (0: by the length)"
                add(
                    "loop.bars",
                    gr.Number(8, precision=0, label=label, min_width=90, visible=clocked, elem_id="mk-bars"),
                )
                add("loop.turns", gr.Number(1, precision=0, label="Turns in the file", min_width=90))
            add("loop.on_beat", gr.Checkbox(False, label="Begin exactly on beat one"))

    def _ask_path(self) -> None:
        """The points that it travels between."""
        add = self._add
        with gr.Accordion("Path", open=False, elem_id="mk-path-box"):
            gr.HTML("<p>Music that glides between points. Sample some, add those you like, then make a piece.</p>")
            add("sample", gr.Button("Sample six points", size="sm", elem_id="mk-sample"))
            add("gallery", gr.HTML("", elem_id="mk-gallery", js_on_load=cards.GALLERY_SCRIPT))
            heads = [STOP_PARTS[0], "stay (s)", "glide (s)", STOP_PARTS[3]]
            add(
                "path",
                gr.Dataframe(
                    value=[],
                    headers=heads,
                    datatype="str",
                    type="array",
                    row_count=1,
                    column_count=len(heads),
                    label="Stops: empty for no path",
                    interactive=True,
                    elem_id="mk-path",
                ),
            )
            with gr.Row(elem_classes="mk-tight"):
                add("path.repeat", gr.Checkbox(False, label="Go round", min_width=90))
                add("path.clear", gr.Button("Clear", size="sm", min_width=60, elem_id="mk-clear"))
                kinds = [".json", ".yaml", ".yml"]
                add("path.file", gr.UploadButton("Add from a file", file_types=kinds, size="sm", min_width=90))

    def _ask_recording(self) -> None:
        """What becomes of a recording that the visitor brings."""
        add = self._add
        with gr.Accordion("Your recording", open=False, elem_id="mk-recording-box"):
            most = show_clock(LONGEST_RECORDING)
            gr.HTML(
                f"<p>Bring audio of up to {most}, or latents (.npz, .npy). Hear it as the preset's codec renders it,"
                " let it glide into the piece that the fields above ask for, or mix the two.</p>"
            )
            add("recording", gr.File(show_label=False, height=128, elem_id="mk-recording"))
            add("recording.shown", gr.HTML(NOTHING, elem_id="mk-recording-shown"))
            add("blend.tool", gr.Radio(TOOLS, value="glide", label="What happens with it", elem_id="mk-tool"))
            with gr.Column() as gliding:
                label = "Seconds of the glide"
                add("blend.seconds", gr.Slider(0.5, 30.0, 4.0, step=0.5, label=label, elem_id="mk-glide"))
                add("blend.back", gr.Checkbox(False, label="And back into the recording at the end", elem_id="mk-back"))
            add("blend.gliding", gliding)
            with gr.Column(visible=False) as mixing:
                label = "Mix (0 recording alone, 1 piece alone)"
                add("blend.gain", gr.Slider(0.0, 1.0, 0.5, step=0.05, label=label, elem_id="mk-gain"))
                add("blend.whole", gr.Checkbox(True, label="As long as the recording", elem_id="mk-whole"))
                label, hint = "Other mixes for some latent channels", "0=1, 8-63=0.2"
                add("blend.channels", gr.Textbox(label=label, placeholder=hint, elem_id="mk-channels"))
            add("blend.mixing", mixing)
            with gr.Row():
                add("blend.start", gr.Textbox("0:00", label="Use it from", min_width=90, elem_id="mk-part-start"))
                label = "For (empty: to its end)"
                add("blend.length", gr.Textbox("", label=label, min_width=90, elem_id="mk-part-length"))
            add("blend", gr.Button("▶ Make it with my recording", variant="primary", elem_id="mk-blend"))

    def _answer(self) -> None:
        """What comes back."""
        add = self._add
        gr.HTML(cards.LIVE, elem_id="mk-live-box")
        add("keep", gr.Button("Keep its last minute as a piece", size="sm", elem_id="mk-keep"))
        add("player", gr.HTML(cards.EMPTY, elem_id="mk-player-a"))
        with gr.Row(elem_id="mk-same", visible=False) as same:
            gr.HTML("Same, but …")
            for text, change in CHANGES:
                add(f"same {change}", gr.Button(text, size="sm", min_width=40))
            for name in self._shelf.all_controls():
                for text, ratio in RATIOS.get(name, ()):
                    add(f"same {name}*{ratio}", gr.Button(text, size="sm", min_width=40))
            add("same fill", gr.Button("let me choose", size="sm", min_width=40, elem_id="mk-fill"))
        add("same", same)
        add("history", gr.Radio([], label="This visit's pieces", visible=False, elem_id="mk-history"))
        with gr.Row(visible=False, elem_classes="mk-tight") as comparing:
            add("compare", gr.Dropdown([], label="Compare with", min_width=160, scale=3, elem_id="mk-compare"))
            add("swap", gr.Button("A ⇄ B, same place", size="sm", min_width=130, scale=1, elem_id="mk-swap"))
        add("comparing", comparing)
        add("second", gr.HTML("", elem_id="mk-player-b"))
        add("visit", gr.BrowserState("", storage_key="musika-visit", secret="musika"))
        add("shown", gr.State(None))
        add("live", gr.Textbox(visible="hidden", elem_id="mk-live-name"))
