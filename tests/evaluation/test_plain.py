import numpy as np

from musika.autoencoder.graphs import run_graph
from musika.config import load_config
from musika.evaluation.plain import plain_graph
from musika.presets import random_preset

PATCHES = 2


def test_the_plain_way_gives_what_the_codec_gives():
    preset = random_preset(load_config("debug"))
    (graph, shapes), random = plain_graph(preset, PATCHES), np.random.default_rng(0)
    inputs = [random.standard_normal(shape, np.float32) for shape in shapes]
    inputs[2:] = [np.zeros_like(noise) for noise in inputs[2:]]
    wave = run_graph(graph, inputs)[0].T[preset.config.spectral.overlap :]
    latents = np.concatenate(list(preset.generate(*inputs[:2])))
    ours = preset.codec.decode(latents, noise=False)
    quiet = np.abs(wave[: len(ours)]) < 0.8  # the limiter leaves them alone
    assert quiet.mean() > 0.5
    np.testing.assert_allclose(wave[: len(ours)][quiet], ours[quiet], atol=2e-4)
