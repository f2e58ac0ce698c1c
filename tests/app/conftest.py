import dataclasses

import pytest

CONTROLS = ("tempo", "note_density")


@pytest.fixture(scope="session")
def steered_folder(debug_config, tmp_path_factory):
    """A toy preset with a tempo that it draws and a note density that it does not."""
    from musika.presets import random_preset, save_preset
    from musika.settings import ControlConfig

    controls = (
        ControlConfig("tempo", "BPM", 90.0, 160.0, clock=True, beats_per_bar=4, drawn=True),
        ControlConfig("note_density", "notes/s", 1.0, 9.0, scaling="log", per="step"),
    )
    generator = dataclasses.replace(debug_config.generator, controls=controls)
    preset = random_preset(dataclasses.replace(debug_config, generator=generator), seed=3)
    folder = tmp_path_factory.mktemp("steered") / "steered"
    return save_preset(folder, preset.config, preset.codec, preset.generator, measure_precision=False)


@pytest.fixture(scope="session")
def shelf(steered_folder, debug_preset_folder):
    from musika.app.shelf import Shelf

    return Shelf([str(steered_folder), str(debug_preset_folder)], "float32")


@pytest.fixture
def stage(shelf, tmp_path):
    from musika.app.server import open_stage

    with open_stage(shelf, longest=120.0, out=tmp_path / "out") as stage:
        yield stage


@pytest.fixture
def usual():
    """What the page's fields hold when it is opened, but for a short length and a seed that is kept."""
    fields = {
        "preset": "steered",
        "length": "0:01",
        "seed": "7",
        "lock": True,
        "truncation": 2.0,
        "start": "0:00",
        "ending": "wav",
        "precision": "auto",
        "count": 1,
        "path": [["", "", "", ""]],
        "path.repeat": False,
        "loop": False,
        "loop.bars": 1,
        "loop.turns": 1,
        "loop.on_beat": False,
    }
    ranges = {"tempo": (125.0, 160.0), "note_density": (5.0, 9.0)}
    for name, (first, last) in ranges.items():
        mode = "by seed" if name == "tempo" else "free"
        fields |= {f"{name}.mode": mode, f"{name}.first": first, f"{name}.last": last, f"{name}.curve": ""}
    return fields
