"""Latents as tape: every tool against hand values, and the files."""

import numpy as np
import pytest

from musika.checks import UserError
from musika.data import latent_tools as tools
from musika.data.latents import LatentFile, load_latents


@pytest.fixture
def tape():
    return np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)


def test_cutting_and_joining_are_inverse(tape):
    parts = [tools.cut(tape, 0, 7), tools.cut(tape, 7, 8), tools.cut(tape, 8)]
    assert np.array_equal(tools.join(parts), tape)
    parts[0][:] = 0
    assert not np.array_equal(tape[:7], parts[0])  # inputs stay as they are


def test_reversing_twice_is_nothing(tape):
    assert np.array_equal(tools.reverse(tools.reverse(tape)), tape)
    assert np.array_equal(tools.reverse(tape)[0], tape[-1])


def test_stretching_keeps_a_straight_line_straight():
    line = np.arange(10, dtype=np.float32)[:, None] @ np.float32([[1.0, -2.0]])
    assert np.array_equal(tools.stretch(line, 1.0), line)
    longer = tools.stretch(line, 2.5)
    assert longer.shape == (25, 2)
    np.testing.assert_allclose(np.diff(longer[2:-2, 0]), 0.4, atol=1e-5)
    assert tools.stretch(line, 0.01).shape == (1, 2)
    assert np.array_equal(tools.stretch(line[:1], 3.0), np.repeat(line[:1], 3, axis=0))


def test_mixing_goes_channel_by_channel(tape):
    other = tape[::-1].copy()
    assert np.array_equal(tools.mix(tape, other, 0.0), tape)
    assert np.array_equal(tools.mix(tape, other, 1.0), other)
    mixed = tools.mix(tape, other, [0.0, 1.0, 0.5])  # one for each latent channel of both sides
    assert np.array_equal(mixed[:, [0, 3]], tape[:, [0, 3]])
    assert np.array_equal(mixed[:, [1, 4]], other[:, [1, 4]])
    np.testing.assert_allclose(mixed[:, 2], 0.5 * (tape + other)[:, 2], atol=1e-6)
    longer = tools.mix(tape, other[:5], 0.5)
    assert len(longer) == 20 and np.array_equal(longer[5:], tape[5:])


def test_a_gain_is_for_all_or_each_channel(tape):
    np.testing.assert_allclose(tools.scale(tape, 2), 2 * tape)
    np.testing.assert_allclose(tools.scale(tape, [1, 0, 2])[:, 3:], tape[:, 3:] * [1, 0, 2], atol=1e-6)
    np.testing.assert_allclose(tools.scale(tape, np.arange(6))[:, 5], 5 * tape[:, 5], rtol=1e-6)


@pytest.mark.parametrize("curve", ["linear", "smooth"])
def test_a_glide_begins_as_the_first_and_ends_as_the_second(tape, curve):
    ones, twos = np.ones((8, 6), np.float32), np.full((9, 6), 2, np.float32)
    made = tools.glide(ones, twos, 5, curve)
    assert made.shape == (12, 6) and (made[:3] == 1).all() and (made[8:] == 2).all()
    assert (np.diff(made[:, 0]) >= 0).all() and made[5, 0] == pytest.approx(1.5)
    assert np.array_equal(tools.glide(tape, tape, 0), tools.join([tape, tape]))


def test_a_recording_glides_into_a_generated_piece_and_back(debug_preset):
    rng = np.random.default_rng(1)
    recording = debug_preset.codec.encode(0.1 * rng.standard_normal((22050, 2)))
    generated = debug_preset.piece(seed=7).latents(0, 60)
    whole = tools.glide(tools.glide(recording, generated, 10), recording, 10)
    audio = debug_preset.codec.decode(whole)
    assert len(whole) == 2 * len(recording) + 40 and np.isfinite(audio).all() and np.abs(audio).max() > 1e-3


MISTAKES = [
    (lambda tape: tools.cut(tape, 20), "start must be a whole number from 0 to 19"),
    (lambda tape: tools.cut(tape, 3, 3), "stop must be a whole number from 4 to 20"),
    (lambda tape: tools.join([]), "there is nothing to join"),
    (lambda tape: tools.join([tape, tape[:, :4]]), "the same number of channels. Received: 4, 6"),
    (lambda tape: tools.reverse(tape[0]), "must have the shape"),
    (lambda tape: tools.reverse(tape * np.nan), "finite numbers only"),
    (lambda tape: tools.stretch(tape, 0), "factor must be a number from 0.01 to 100"),
    (lambda tape: tools.stretch(tape[:0], 1), "there is nothing to stretch"),
    (lambda tape: tools.scale(tape, [1, 2]), "a gain must be a number, or 3 or 6 numbers"),
    (lambda tape: tools.mix(tape, tape, "loud"), "a gain must be a number"),
    (lambda tape: tools.glide(tape, tape, 21), "steps of the glide must be a whole number from 0 to 20"),
    (lambda tape: tools.glide(tape, tape, 2, "bumpy"), "curve must be one of linear, smooth"),
]


@pytest.mark.parametrize(("work", "message"), MISTAKES)
def test_a_mistake_is_named(tape, work, message):
    with pytest.raises(UserError, match=message):
        work(tape)


def latent_file(latents, codec="abc"):
    return LatentFile(latents, codec, 44100, 1000, "a.wav", "toy")


@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_latents_are_written_and_read(tape, tmp_path, ending):
    path = tools.write_latents(tmp_path / f"a.{ending}", latent_file(tape))
    file = tools.read_latents(path)
    assert np.array_equal(file.latents, tape) and file.latents.dtype == np.float32
    assert file.codec == ("abc" if ending == "npz" else "")


def test_blocks_make_the_same_file_as_the_whole(tape, tmp_path):
    blocks = (tape[start : start + 7] for start in range(0, 20, 7))
    tools.save_blocks(tmp_path / "a.npz", blocks, 20, latent_file(np.zeros((0, 6), np.float32)))
    found, whole = load_latents(tmp_path / "a.npz"), latent_file(tape)
    assert np.array_equal(found.latents, whole.latents)
    assert [(found.codec, found.samples, found.source)] == [(whole.codec, whole.samples, whole.source)]
    with pytest.raises(ValueError, match="21 steps were announced, 20 came"):
        tools.save_blocks(tmp_path / "b.npz", [tape], 21, latent_file(tape[:0]))
    assert not (tmp_path / "b.npz").exists()


def test_a_plain_array_of_this_codec_is_completed(debug_preset, tmp_path):
    latents = debug_preset.piece(seed=7).latents(0, 30)
    path = tools.write_latents(tmp_path / "a.npy", latent_file(latents))
    file = tools.latents_for(debug_preset.codec, path)
    assert file.codec == debug_preset.codec.hash
    assert len(debug_preset.codec.decode(file.latents)) == file.samples
    np.save(path, latents[:, :10])
    with pytest.raises(UserError, match="a.npy has 10 channels, this codec's latents have 32"):
        tools.latents_for(debug_preset.codec, path)


def test_bad_files_are_refused(tape, tmp_path):
    (tmp_path / "a.npy").write_bytes(b"not an array")
    np.save(tmp_path / "text.npy", np.array(["a"]))
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    np.save(tmp_path / "flat.npy", tape[0])
    for name, message in [("a", "not a plain array"), ("text", "not a plain array"), ("object", "not a plain array")]:
        with pytest.raises(UserError, match=message):
            tools.read_latents(tmp_path / f"{name}.npy")
    with pytest.raises(UserError, match="flat.npy must have the shape"):
        tools.read_latents(tmp_path / "flat.npy")
    with pytest.raises(UserError, match="cannot be read"):
        tools.read_latents(tmp_path / "nothing.npy")
    with pytest.raises(UserError, match="a plain .npy names no codec"):
        tools.write_latents(tmp_path / "b.npz", latent_file(tape, codec=""))
    with pytest.raises(UserError, match="the ending of latents must be one of .npz, .npy"):
        tools.write_latents(tmp_path / "b.txt", latent_file(tape))
