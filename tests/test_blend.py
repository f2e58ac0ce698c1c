import numpy as np
import pytest
import soundfile

from musika.blend import Blend, blend, read_gains, recorded_blend
from musika.checks import UserError
from musika.data.latent_tools import glide, mix, seconds_to_steps
from musika.data.latents import LatentFile, save_latents
from musika.recordings import Blended, piece_latents, read_blend_sidecar, read_recording, recorded_seconds


@pytest.fixture
def files(debug_config):
    """A recording of 100 steps and a piece of 60, of one codec."""
    random, channels = np.random.default_rng(1), 2 * debug_config.codec.latent_channels

    def file(steps, name, spare):
        latents = random.normal(size=(steps, channels)).astype(np.float32)
        return LatentFile(latents, "codec", 44100, steps * debug_config.latent_hop - spare, name)

    return file(100, "own.wav", 700), file(60, "piece", 500)


def seconds(steps, config):
    return steps / config.latent_rate


def test_through_the_codec_is_the_recording_itself(files, debug_config):
    recording, _ = files
    made = blend(recording, None, Blend(), debug_config)
    assert np.array_equal(made.latents, recording.latents) and made.samples == recording.samples


def test_a_glide_goes_over_and_back(files, debug_config):
    recording, piece = files
    there = blend(recording, piece, Blend("glide", seconds(10, debug_config)), debug_config)
    assert np.array_equal(there.latents, glide(recording.latents, piece.latents, 10))
    assert there.samples == 90 * debug_config.latent_hop + piece.samples
    back = blend(recording, piece, Blend("glide", seconds(10, debug_config), "linear", back=True), debug_config)
    first = glide(recording.latents, piece.latents, 10, "linear")
    assert np.array_equal(back.latents, glide(first, recording.latents, 10, "linear"))
    assert len(back.latents) == 240 and back.samples == 140 * debug_config.latent_hop + recording.samples
    assert np.array_equal(back.latents[:90], recording.latents[:90])
    assert np.array_equal(back.latents[100:140], piece.latents[10:50])
    assert np.array_equal(back.latents[-90:], recording.latents[10:])


def test_a_mix_has_its_gains(files, debug_config):
    recording, piece = files
    made = blend(recording, piece, Blend("mix", gain=0.25, channel_gains=("0=1",)), debug_config)
    gains = read_gains(0.25, ["0=1"], debug_config.codec.latent_channels)
    assert np.array_equal(made.latents, mix(recording.latents, piece.latents, gains))
    assert np.array_equal(made.latents[:60, 0], piece.latents[:, 0]) and made.samples == recording.samples
    for gain, source in ((0.0, recording), (1.0, piece)):
        alone = blend(recording, piece, Blend("mix", gain=gain), debug_config)
        assert np.array_equal(alone.latents[:60], source.latents[:60])


def test_a_part_of_the_recording_is_used(files, debug_config):
    recording, _ = files
    how = Blend(start=seconds(20, debug_config), length=seconds(30, debug_config))
    made = blend(recording, None, how, debug_config)
    assert np.array_equal(made.latents, recording.latents[20:50])
    assert made.samples == 30 * debug_config.latent_hop - debug_config.spectral.overlap
    rest = blend(recording, None, Blend(start=seconds(20, debug_config)), debug_config)
    assert rest.samples == recording.samples - 20 * debug_config.latent_hop


def test_inputs_stay_as_they_are(files, debug_config):
    before = [file.latents.copy() for file in files]
    for how in (Blend(), Blend("glide", 0.05, back=True), Blend("mix")):
        blend(*files, how, debug_config).latents[:] = 0.0 if how.tool != "codec" else before[0]
    assert all(np.array_equal(file.latents, old) for file, old in zip(files, before, strict=True))


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (Blend("swing"), "what happens with the recording must be one of codec, glide, mix"),
        (Blend("glide", -1.0), "seconds of the glide must be a number from 0"),
        (Blend("glide", 1.0), "the piece is too short for this glide: it lasts 0.7 s, and the glide needs 1.0 s"),
        (Blend("glide", 0.5, back=True), "the piece is too short for this glide: .* needs 1.0 s"),
        (Blend("glide", 0.5, start=1.0), "the recording is too short for this glide"),
        (Blend("glide", 0.5, "wild"), "curve must be one of linear, smooth"),
        (Blend("mix", gain=11.0), "gain must be a number from -10 to 10"),
        (Blend("mix", channel_gains=("all=1",)), "a channel gain is CHANNELS=G, such as 0=1 or 8-15=0.2"),
        (Blend("mix", channel_gains=("16=1",)), "channel must be a whole number from 0 to 15"),
        (Blend(start=60.0), "the recording ends after 1.1 s. Received: a part that begins at 60 s"),
        (Blend(length=0.0), "the length of the recording's part must be a number greater than 0"),
    ],
)
def test_what_cannot_be_done_is_said(files, debug_config, how, sentence):
    with pytest.raises(UserError, match=sentence):
        blend(*files, how, debug_config)


def test_different_codecs_are_not_joined(files, debug_config):
    from dataclasses import replace

    with pytest.raises(UserError, match="made by different codecs"):
        blend(files[0], replace(files[1], codec="other"), Blend("mix"), debug_config)
    with pytest.raises(UserError, match="a piece is needed too"):
        blend(files[0], None, Blend("mix"), debug_config)


@pytest.mark.parametrize(
    "how", [Blend(start=1.0), Blend("glide", 2.0, "linear", True), Blend("mix", gain=0.1, channel_gains=("0=1",))]
)
def test_what_was_written_down_is_read_again(how):
    assert recorded_blend(how.describe()) == how
    with pytest.raises(UserError, match="do not say what is done with a recording"):
        recorded_blend(how.describe() | {"colour": "blue"})


def test_a_recording_is_read_as_the_codec_encodes_it(debug_preset, tmp_path):
    codec, heard = debug_preset.codec, []
    audio = 0.3 * np.random.default_rng(2).normal(size=(50000, 1)).clip(-3, 3).astype(np.float32)
    soundfile.write(tmp_path / "own.wav", audio, 44100, "FLOAT")
    file = read_recording(codec, tmp_path / "own.wav", "toy", 2.0, lambda *times: heard.append(times))
    assert np.array_equal(file.latents, codec.encode(audio)) and file.samples == 50000 and file.source == "own.wav"
    assert heard[-1] == (50000 / 44100, 50000 / 44100)
    save_latents(tmp_path / "own.npz", file)
    np.save(tmp_path / "own.npy", file.latents)
    for name in ("own.npz", "own.npy"):
        assert np.array_equal(read_recording(codec, tmp_path / name).latents, file.latents)
    assert recorded_seconds(tmp_path / "own.npz") == 50000 / 44100 and recorded_seconds(tmp_path / "own.npy") is None
    for name in ("own.wav", "own.npz", "own.npy"):
        with pytest.raises(UserError, match="the recording lasts 0:01.1; at most 0:01.0 are allowed"):
            read_recording(codec, tmp_path / name, longest=1.0)
    with pytest.raises(UserError, match="stopped while the recording was read"):
        read_recording(codec, tmp_path / "own.wav", stopped=lambda: True)


def test_a_blend_plays_as_decode_plays_it(debug_preset):
    file = piece_latents(debug_preset.piece(seed=7), 0.25, 1.0)
    assert seconds_to_steps(1.0, debug_preset.config.latent_rate) <= len(file.latents)
    blended = Blended(debug_preset, file)
    whole = debug_preset.codec.decode(file.latents, samples=file.samples)
    assert np.array_equal(np.concatenate(list(blended.play(0, file.samples))), whole)
    assert np.array_equal(np.concatenate(list(blended.play(9000, 20000))), whole[9000:20000])
    assert blended.seconds == file.samples / 44100


def test_other_files_are_no_blends_settings(tmp_path):
    path = tmp_path / "a.json"
    for text in ("{", "[]", '{"seed": 7}', "[" * 100_000):
        path.write_text(text)
        assert read_blend_sidecar(path) is None
    for text, sentence in (
        ('{"blend": {}, "format": 9}', "have format 9, not 1"),
        ('{"blend": {"tool": "codec"}, "format": 1, "piece": 7}', "are incomplete .*checkpoint"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=sentence):
            read_blend_sidecar(path)
