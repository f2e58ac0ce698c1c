"""Fine-tuning at toy size: the recipe, the judge, going on, the page."""

import dataclasses
import json
import re

import numpy as np
import pytest
from toy_gan import toy_config, toy_latents

from musika.checks import UserError
from musika.data.annotation import Annotation, annotation_path, save_annotation
from musika.data.latents import LatentFile, save_latents
from musika.evaluation.latent_windows import CopyingDetector
from musika.gan.conditioning import check_controls
from musika.presets import load_preset, random_preset, save_preset
from musika.settings import ControlConfig
from musika.training import finetune_judge, generator_saves
from musika.training.finetune import finetune, fitted_control, recipe_config, survey
from musika.training.finetune_judge import Evaluation, best_of, has_begun_to_copy, saves_since_best, verdict
from musika.training.finetune_report import curve_svg
from musika.training.run import read_json

TEMPO = ControlConfig("tempo", unit="BPM", low=60.0, high=100.0, clock=True, drawn=True)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A toy preset with a tempo, and five annotated latent files."""
    folder = tmp_path_factory.mktemp("material")
    config = toy_config(normalise=True)
    config = dataclasses.replace(config, generator=dataclasses.replace(config.generator, controls=(TEMPO,)))
    preset = random_preset(config)
    statistics = np.zeros(8, np.float32), np.ones(8, np.float32)
    save_preset(
        folder / "start", config, preset.codec, preset.generator, statistics=statistics, measure_precision=False
    )
    for number in range(5):
        path = folder / "latents" / f"{number}.npz"
        file = LatentFile(toy_latents(200, seed=number), preset.codec.hash, 44100, 200 * 512, f"{number}.wav", "start")
        save_latents(path, file)
        rate = config.latent_rate
        beats = np.arange(0.0, 200 / rate, 0.4)
        save_annotation(
            annotation_path(path),
            Annotation(
                "x.wav", "labels", rate, 200, 150.0 + 3 * number, 1.0, beats, controls={"tempo": 150.0 + 3 * number}
            ),
        )
    return folder


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(generator_saves, "SAMPLE_SECONDS", 0.5)
    monkeypatch.setattr(finetune_judge, "PIECES", 3)
    monkeypatch.setattr(finetune_judge, "PIECE_STEPS", 64)


def tune(material, out, **options):
    lines = []
    given = {"data": material / "latents", "start": material / "start", "check": False, **options}
    report = finetune(out=out, shown=False, say=lines.append, save_every=given.pop("save_every", 2), **given)
    return report, lines


@pytest.mark.slow
def test_a_fine_tuning_keeps_the_best_says_so_and_resumes_bit_exactly(material, tmp_path, short):
    report, lines = tune(material, tmp_path / "whole", steps=4)
    assert (report["step"], report["ended"]) == (4, "done")
    assert [item["step"] for item in report["saves"]] == [0, 2, 4]
    assert all(item["frechet"] > 0 and item["copying"] > 0 for item in report["saves"])
    assert report["verdict"] in lines and report["best"] in (2, 4)
    assert any("tempo: 150 to 162 BPM in this music" in line for line in lines)
    best, last = load_preset(tmp_path / "whole" / "best"), load_preset(tmp_path / "whole" / "preset")
    assert best.metadata["generator_training"]["steps"] == report["best"]
    assert last.controls["tempo"].low == 150.0
    assert last.metadata["generator_training"]["command"] == "musika finetune latents --from start"
    tune(material, tmp_path / "parts", steps=2)
    resumed, lines = tune(material, tmp_path / "parts", data=None, start=None, resume=True, steps=4)
    assert resumed["saves"] == report["saves"]
    for name in ("generator", "critic", "average"):
        ours, theirs = ((tmp_path / run / "last" / f"{name}.weights.h5").read_bytes() for run in ("whole", "parts"))
        assert len(ours) == len(theirs)
    for name in ("generator", "critic"):
        whole, parts = (np.load(tmp_path / run / "last" / f"{name}.optimizer.npz") for run in ("whole", "parts"))
        for key in whole.files:
            np.testing.assert_array_equal(whole[key], parts[key], err_msg=key)
    ours, theirs = (load_preset(tmp_path / run) for run in ("whole", "parts"))
    for one, two in zip(ours.generator.get_weights(), theirs.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    page = (tmp_path / "whole" / "report.html").read_text()
    assert report["verdict"].split(":")[0] in page and page.count("<audio") == 2 and "<svg" in page
    for source in re.findall(r'src="([^"]+)"', page):
        assert (tmp_path / "whole" / source).is_file()
    assert "http" not in page.replace("http-equiv", "")
    assert read_json(tmp_path / "whole" / "evaluations.json")["best"] == report["best"]


@pytest.mark.slow
def test_what_copies_is_stopped_and_named(material, tmp_path, short, monkeypatch):
    copied = {"score": 0.1, "closer": 0.9}
    monkeypatch.setattr(CopyingDetector, "score", lambda self, generated: copied)
    report, lines = tune(material, tmp_path / "run", steps=8, save_every=1)
    assert (report["ended"], report["step"]) == ("enough", 2)
    assert "Has begun to copy" in report["verdict"] and any("Ended early after 2 steps" in line for line in lines)


def test_the_recipe_is_laid_over_the_presets_own_settings(material):
    preset = load_preset(material / "start")
    found = survey(material / "latents", preset.config.generator.controls)
    assert found.values["tempo"].tolist() == [150.0, 153.0, 156.0, 159.0, 162.0]
    config = recipe_config(preset, found, {"save_every": 7})
    settings = config.generator_training
    assert (settings.save_every, settings.batch_size, settings.steps) == (7, 2, 1500)
    assert settings.cutout > 0 and settings.critic_first > 0  # this preset comes without its critic
    assert config.generator.controls[0].low == 150.0
    assert recipe_config(preset, dataclasses.replace(found, hours=5.0), {}).generator_training.steps > settings.steps


def test_controls_take_the_range_of_the_music():
    assert fitted_control(TEMPO, np.zeros(0)) == TEMPO
    one = fitted_control(TEMPO, np.full(9, 120.0))
    assert 110 < one.low < 120 < one.high < 130
    curve = fitted_control(ControlConfig("x", low=1.0, high=2.0, scaling="log"), np.concatenate([np.zeros(50), [9.0]]))
    assert 0 < curve.low < curve.high
    sparse = fitted_control(ControlConfig("d", low=1.0, high=8.0, events=True, per="step"), np.repeat([0.0, 8.0], 50))
    assert sparse.low > 0
    check_controls((sparse,))
    classes = ControlConfig("genre", classes=("a", "b"))
    assert fitted_control(classes, np.ones(3)) == classes


def saves(*values, copying=1.0, closer=0.05):
    return [Evaluation(100 * step, value, copying, closer) for step, value in enumerate(values)]


def test_the_verdict_says_what_happened():
    assert verdict(saves(90.0, 40.0, 30.0), 5.0).startswith("Still improving at step 200")
    assert verdict(saves(90.0, 30.0, 40.0), 5.0).startswith("Best at step 100")
    assert "fell from 90.0 to 30.0" in verdict(saves(90.0, 30.0, 40.0), 5.0)
    assert verdict(saves(90.0, 30.0, 40.0, 41.0), None, patience=2).endswith("It has not got better since.")
    assert "went from 10.0 to 30.0" in verdict(saves(10.0, 30.0), 5.0)
    assert verdict([Evaluation(0, None), Evaluation(100, None)], None).startswith("Nothing was held out")
    copies = [dataclasses.replace(item, copying=0.2, closer=0.8) for item in saves(0, 0, 20.0, 10.0)[2:]]
    begun = [*saves(90.0, 30.0), *copies]
    assert has_begun_to_copy(begun) and best_of(begun).step == 100
    assert verdict(begun, 5.0).startswith(
        "Has begun to copy its training music (step 200). Best before that at step 100"
    )
    assert "from step 200 on" in verdict(begun[2:], 5.0)


def test_patience_counts_clearly_better_saves_only():
    assert saves_since_best(saves(90.0, 40.0, 39.9, 39.8)) == 2
    assert saves_since_best(saves(90.0, 40.0, 30.0)) == 0
    assert saves_since_best([]) == 0


def music(steps, seed):
    """A sequence whose course is like no other, as music is."""
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.standard_normal((steps, 20)), axis=0).astype(np.float32) % 7


def test_copies_are_told_from_new_music_wherever_they_begin():
    training, held_out = [music(600, 1), music(400, 2)], [music(600, 3)]
    detector = CopyingDetector(training, held_out)
    new = detector.score([music(600, 4)])
    assert 0.8 < new["score"] < 1.25 and new["closer"] < 0.4
    noise = np.random.default_rng(5).standard_normal((320, 20)).astype(np.float32)
    copy = detector.score([training[0][77:397] + 0.3 * noise])
    assert copy["score"] < 0.5 and copy["closer"] > 0.9
    assert detector.score([0.5 * (training[0][77:397] - 3) + 3])["score"] < 0.5  # a quieter copy is a copy


def test_the_copying_detector_says_what_it_lacks():
    detector = CopyingDetector([music(200, 1)], [music(20, 2)])
    assert not detector.usable
    with pytest.raises(UserError, match="a window has 32 latent steps"):
        detector.score([music(100, 3)])


def test_curves_are_drawn_within_the_picture():
    figure = curve_svg("a & b", {"x": [(0, 5.0), (100, 1.0)]}, ("level <1>", 2.0))
    assert "a &amp; b" in figure and "level &lt;1&gt;" in figure
    numbers = [float(value) for value in re.search(r'points="([^"]+)"', figure).group(1).replace(",", " ").split()]
    assert min(numbers) >= 0 and max(numbers[::2]) <= 560 and max(numbers[1::2]) <= 240


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": None}, "--from"),
        ({"data": None}, "folder of latents"),
        ({"data": "no such folder"}, "does not exist"),
        ({"start": "no such preset"}, "no preset"),
        ({"save_every": 0}, "save_every must be a whole number"),
        ({"resume": True}, "holds no training run"),
    ],
)
def test_wrong_arguments_are_named(material, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        tune(material, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_history_survives_as_json(material):
    item = Evaluation(5, 1.5, 0.9, 0.1, {"tempo": 0.5})
    assert Evaluation(**json.loads(json.dumps(dataclasses.asdict(item)))) == item
