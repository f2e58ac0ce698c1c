"""Parity with outputs of the original code, and what ``--check`` makes of files that do not fit."""

from pathlib import Path

import numpy as np
import pytest

from musika.checks import UserError
from musika.parity import ARRAYS, TOLERANCE, check_parity
from musika.upstream import import_published

FIXTURE = Path(__file__).parent / "fixtures" / "upstream"
STAGES = {
    "generator",
    "critic",
    "level-2 decoder",
    "level-1 decoder, magnitude",
    "level-1 decoder, phase",
    "spectrogram",
    "level-1 encoder",
    "level-2 encoder",
    "waveform",
}


@pytest.fixture(scope="module")
def published():
    return import_published(FIXTURE)


def test_fixture_passes_at_every_stage(published):
    results = check_parity(published, FIXTURE / "expected.npz")
    assert {result.stage for result in results} == STAGES
    assert all(result.error is not None and result.error < TOLERANCE for result in results), results


@pytest.fixture
def arrays():
    with np.load(FIXTURE / "expected.npz") as file:
        return dict(file)


def check(published, arrays, tmp_path):
    np.savez(tmp_path / "expected.npz", **arrays)
    return {result.stage: result for result in check_parity(published, tmp_path / "expected.npz")}


@pytest.mark.parametrize(
    "changed",
    [
        {
            "critic": "critic",
            "magnitude": "level-1 decoder, magnitude",
            "phase": "level-1 decoder, phase",
            "spectrogram": "spectrogram",
            "encoded_level2": "level-2 encoder",
            "waveform": "waveform",
        },
        {"latents": "generator", "level1_latents": "level-2 decoder", "encoded_level1": "level-1 encoder"},
    ],
)
def test_a_stage_that_differs_fails(published, arrays, tmp_path, changed):
    results = check(published, {**arrays, **{name: arrays[name] * 1.0001 for name in changed}}, tmp_path)
    for stage in changed.values():
        assert not results[stage].passed
        assert results[stage].error > 5e-5


def test_dummy_axes_do_not_matter(published, arrays, tmp_path):
    arrays["level1_latents"] = arrays["level1_latents"][:, :, 0]
    arrays["latents"] = arrays["latents"][:, 0]
    arrays["coordinates"] = arrays["coordinates"][:, None]
    arrays["magnitude"] = arrays["magnitude"][:, :, None]
    assert all(result.passed for result in check(published, arrays, tmp_path).values())


@pytest.mark.parametrize("name", [name for name in ARRAYS if name not in ("audio", "critic")])
def test_an_array_of_another_size_is_named(published, arrays, tmp_path, name):
    arrays[name] = np.zeros((3, 7), np.float32)
    with pytest.raises(UserError, match=f"array '{name}'"):
        check(published, arrays, tmp_path)


def test_missing_arrays_are_named(published, arrays, tmp_path):
    del arrays["phase"]
    with pytest.raises(UserError, match="lacks these arrays: phase"):
        check(published, arrays, tmp_path)


def test_a_file_that_is_no_npz_is_refused(published, tmp_path):
    (tmp_path / "expected.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UserError, match="not a readable .npz file"):
        check_parity(published, tmp_path / "expected.npz")
    with pytest.raises(UserError, match="there is no file"):
        check_parity(published, tmp_path / "other.npz")
