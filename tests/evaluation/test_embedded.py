"""Folders to windows: cache, skipping, streaming, processes."""

import functools
import json

import numpy as np
import pytest
import soundfile

from musika.checks import UserError
from musika.evaluation.cache import EmbeddingCache, default_folder, describe, embed_file
from musika.evaluation.embedded import EmbeddedSet, choose_windows, embed_source, match_windows, split_tracks

RATE = 8000


class Loudness:
    """A tiny embedding: mean and standard deviation of each tenth of a second."""

    name, sample_rate, channels, window_seconds, hop_seconds, dimension = "loudness", RATE, 2, 0.1, 0.1, 2
    licence, weights_hash, note = "MIT", "", ""

    def __init__(self, version=1):
        self.settings = {"version": version}
        self.lengths = []

    def embed(self, blocks):
        self.lengths.append([])
        parts = []
        for block in blocks:
            self.lengths[-1].append(len(block))
            parts.append(block)
        audio = np.concatenate(parts)
        frames = audio[: len(audio) // 800 * 800].reshape(-1, 1600)
        return np.stack([frames.mean(axis=1), frames.std(axis=1)], axis=1).astype(np.float32)


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        audio = 0.1 * (index + 1) * rng.standard_normal((RATE * (index + 1), 2))
        soundfile.write(folder / f"{index}.wav", audio.clip(-1, 1), RATE)
    return folder


@pytest.fixture
def cache(tmp_path):
    return EmbeddingCache(tmp_path / "cache")


def test_every_file_is_a_track_in_order(music, cache):
    found = embed_source(music, Loudness, cache)
    assert found.names == ("0.wav", "1.wav", "2.wav", "3.wav")
    assert [len(track) for track in found.tracks] == [10, 20, 30, 40]
    assert found.windows == 100 and found.seconds == 10.0
    assert found.about() == {
        "source": str(music),
        "tracks": 4,
        "windows": 100,
        "source_seconds": 10.0,
        "skipped": {},
    }


def test_cached_and_fresh_are_the_same_and_nothing_is_done_twice(music, cache):
    embedding = Loudness()
    fresh = embed_source(music, lambda: embedding, cache)
    assert len(embedding.lengths) == 4
    (music / "0.wav").rename(music / "0_renamed.wav")
    again = embed_source(music, lambda: embedding, cache)
    assert len(embedding.lengths) == 4  # found by content, also under another name
    for first, second in zip(fresh.tracks, again.tracks, strict=True):
        np.testing.assert_array_equal(first, second)


def test_other_settings_content_or_weights_have_their_own_place(music, cache):
    path, about = music / "0.wav", describe(Loudness())
    places = {
        cache.place(path, about),
        cache.place(music / "1.wav", about),
        cache.place(path, describe(Loudness(version=2))),
        cache.place(path, about | {"weights_hash": "abc"}),
        cache.place(path, about | {"hop_seconds": 0.2}),
    }
    assert len(places) == 5
    assert cache.place(path, about | {"note": "other words"}) == cache.place(path, about)


def test_a_killed_run_goes_on_where_it_was(music, cache):
    class Killed(Loudness):
        def embed(self, blocks):
            if len(self.lengths) == 2:
                raise KeyboardInterrupt
            return super().embed(blocks)

    with pytest.raises(KeyboardInterrupt):
        embed_source(music, Killed, cache)
    assert not list(cache.folder.glob(".*"))  # nothing half written
    embedding = Loudness()
    assert embed_source(music, lambda: embedding, cache).windows == 100
    assert len(embedding.lengths) == 2


def test_a_damaged_cache_file_is_made_again(music, cache):
    embedding = Loudness()
    first = embed_source(music / "0.wav", lambda: embedding, cache)
    for place in cache.folder.iterdir():
        place.write_bytes(place.read_bytes()[:50])
    again = embed_source(music / "0.wav", lambda: embedding, cache)
    np.testing.assert_array_equal(first.tracks[0], again.tracks[0])
    assert len(embedding.lengths) == 2


def test_clearing_leaves_other_files_alone(music, cache):
    embed_source(music, Loudness, cache)
    (cache.folder / "mine.npz").write_text("x")
    assert cache.clear() == 4 and cache.clear() == 0
    assert [path.name for path in cache.folder.iterdir()] == ["mine.npz"]


def test_bad_files_are_named_and_skipped(music, cache):
    (music / "bad.wav").write_text("not audio")
    (music / "empty.flac").write_bytes(b"")
    soundfile.write(music / "short.wav", np.zeros((100, 2)), RATE)
    found = embed_source(music, Loudness, cache)
    assert len(found.tracks) == 4
    skipped = found.about()["skipped"]
    assert sorted(path.rsplit("/", 1)[1] for path in skipped) == ["bad.wav", "empty.flac", "short.wav"]
    assert "shorter than a window of loudness" in skipped[str(music / "short.wav")]


def test_no_usable_file_is_an_error(tmp_path, cache):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.wav").write_text("not audio")
    with pytest.raises(UserError, match="not readable as audio"):
        embed_source(tmp_path / "bad", Loudness, cache)


def test_a_cache_that_cannot_be_written_is_no_fault_of_the_files(music, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="Give --cache another folder"):
        embed_source(music, Loudness, EmbeddingCache(tmp_path / "taken"))


def test_a_long_file_is_read_block_by_block(tmp_path):
    soundfile.write(tmp_path / "long.wav", np.zeros(RATE * 180, np.float32), RATE)
    embedding = Loudness()
    assert len(embed_file(tmp_path / "long.wav", embedding).windows) == 1800
    assert len(embedding.lengths[0]) > 3 and max(embedding.lengths[0]) <= 1 << 18


def test_two_processes_give_the_same_bytes_as_one(music, tmp_path):
    from musika.evaluation.embeddings import load_embedding

    for index in range(2):
        audio = 0.1 * np.random.default_rng(index).standard_normal((60_000, 2))
        soundfile.write(music / f"{index}.wav", audio, 44100)
    for path in (music / "2.wav", music / "3.wav"):
        path.unlink()
    opener = functools.partial(load_embedding, "logmel")
    one = embed_source(music, opener, EmbeddingCache(tmp_path / "one"))
    two = embed_source(music, opener, EmbeddingCache(tmp_path / "two"), processes=2)
    assert one.names == two.names
    for first, second in zip(one.tracks, two.tracks, strict=True):
        assert first.tobytes() == second.tobytes()


def test_the_description_is_json_and_names_the_resampler():
    about = describe(Loudness())
    assert json.loads(json.dumps(about)) == about
    assert about["resampler"].startswith("soxr HQ") and about["dimension"] == 2


def test_the_default_folder_follows_the_systems_convention(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "musika" / "embeddings"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder().parts[-3:] == (".cache", "musika", "embeddings")


def made_up(*lengths):
    tracks = tuple(np.full((length, 1), index, np.float32) for index, length in enumerate(lengths))
    return EmbeddedSet("x", tuple(map(str, range(len(lengths)))), tracks)


def test_matching_keeps_whole_tracks_but_for_one():
    tracks = made_up(10, 10, 10, 10)
    matched = match_windows(tracks, 25, seed=1)
    assert matched.windows == 25 and sorted(map(len, matched.tracks)) == [5, 10, 10]
    assert list(matched.names) == sorted(matched.names)
    assert match_windows(tracks, 25, seed=1).names == matched.names
    assert match_windows(tracks, 40, seed=1).windows == 40


def test_thinning_out_keeps_order_and_number():
    chosen = choose_windows([np.arange(50.0)[:, None], np.arange(50.0, 60.0)[:, None]], 30, seed=0)
    flat = np.concatenate(chosen)[:, 0]
    assert len(flat) == 30 and (np.diff(flat) > 0).all()


def test_pieces_of_long_tracks_count_as_tracks():
    pieces = split_tracks(made_up(7, 2), 1.5, 0.5)
    assert pieces.names == ("0 #1", "0 #2", "0 #3", "1") and pieces.windows == 9
    with pytest.raises(UserError, match="split"):
        split_tracks(made_up(3), 0.1, 0.5)
