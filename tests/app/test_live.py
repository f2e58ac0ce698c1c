from dataclasses import replace

import numpy as np
import pytest

from musika.app import live
from musika.app.live import CHUNK_SECONDS, FADE_SECONDS, Listener, Listeners, extend_curve
from musika.app.studio import make_piece
from musika.app.wishes import Wish
from musika.checks import UserError
from musika.curves import make_curve

WISH = Wish("steered", 7, controls={"tempo": 120.0})
CHUNK, FADE = round(44100 * CHUNK_SECONDS), round(44100 * FADE_SECONDS)


def sound_of(chunk):
    return np.frombuffer(chunk, "<i2").reshape(-1, 2).astype(np.float32) / 32768


def rendered(shelf, wish, start, seconds):
    return make_piece(shelf, wish)[0].render(start, seconds)


def test_chunks_join_to_the_samples_of_the_piece(shelf):
    listener = Listener(shelf, replace(WISH, start=1.3))
    chunks = [sound_of(listener.chunk(number)) for number in range(4)]
    expected = rendered(shelf, WISH, 1.3, 4 * CHUNK_SECONDS)
    assert np.abs(np.concatenate(chunks) - expected).max() <= 1 / 32768  # half a step, and a whole one at full scale
    assert [len(chunk) for chunk in chunks] == [CHUNK] * 4


def test_a_chunk_can_be_asked_for_again_but_none_is_skipped(shelf):
    listener = Listener(shelf, WISH)
    assert listener.chunk(0) == listener.chunk(0)
    with pytest.raises(UserError, match="chunk 1 of this endless piece is due. Received: 5"):
        listener.chunk(5)
    listener.close()
    with pytest.raises(UserError, match="has ended"):
        listener.chunk(1)


def test_another_seed_fades_in_where_the_old_one_is(shelf):
    listener = Listener(shelf, WISH)
    listener.chunk(0)
    listener.change(replace(WISH, seed=8))
    listener.chunk(1)  # goes on as it was: the other seed has a chunk's time to get ready
    sound = sound_of(listener.chunk(2))
    old, new = (rendered(shelf, replace(WISH, seed=seed), 2 * CHUNK_SECONDS, CHUNK_SECONDS) for seed in (7, 8))
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(FADE)[:, None] + 0.5) / FADE)
    assert np.abs(sound[:FADE] - (rise * new[:FADE] + (1 - rise) * old[:FADE])).max() < 1e-4
    assert np.abs(sound[FADE:] - new[FADE:]).max() < 1e-4
    assert np.abs(sound[0] - old[0]).max() < 1e-4  # nothing jumps at the join


def test_a_changed_tempo_keeps_the_beat_clock(shelf):
    listener = Listener(shelf, WISH)
    for number in range(3):
        listener.chunk(number)
    listener.change(replace(WISH, controls={"tempo": 150.0}))
    for number in range(3, 5):
        listener.chunk(number)
    before, after = make_curve(120.0, "tempo"), make_curve(listener.last_minute().controls["tempo"], "tempo")
    times = np.linspace(0.0, 2.0, 50)
    assert np.allclose(after.integral(times), before.integral(times))
    assert after.at(np.array([2.0, 2.5, 60.0])).tolist() == [120.0, 150.0, 150.0]


def test_what_is_ready_too_late_takes_over_where_the_sound_is(shelf, monkeypatch):
    listener = Listener(shelf, WISH)
    prepare = Listener._prepare

    def slow(self, wish, first, present):
        turn = prepare(self, wish, first, present)
        for number in range(4):  # played meanwhile
            self.chunk(number)
        return turn

    monkeypatch.setattr(Listener, "_prepare", slow)
    listener.change(replace(WISH, seed=8))
    sound = sound_of(listener.chunk(4))
    new = rendered(shelf, replace(WISH, seed=8), 4 * CHUNK_SECONDS, CHUNK_SECONDS)
    assert np.abs(sound[FADE:] - new[FADE:]).max() < 1e-4


def test_what_is_not_moved_keeps_its_curve(shelf):
    glide = replace(WISH, seconds=10.0, controls={"tempo": "100:150"})
    listener = Listener(shelf, glide)
    listener.chunk(0)
    listener.change(replace(glide, truncation=1.0))
    for number in range(1, 3):
        listener.chunk(number)
    assert listener.wish.truncation == 1.0
    assert listener.last_minute().controls["tempo"] == [[0.0, 100.0], [10.0, 150.0]]


@pytest.mark.parametrize(
    ("before", "asked", "expected"),
    [
        (120.0, None, None),
        (None, 120.0, 120.0),
        ("calm", "wild", "wild"),
        (None, [[0.0, 90.0], [4.0, 100.0]], [[10.0, 90.0], [14.0, 100.0]]),
        ([[0.0, 100.0], [20.0, 120.0]], 90.0, [[0.0, 100.0], [10.0, 110.0], [10.5, 90.0]]),
    ],
)
def test_a_curve_keeps_its_past(before, asked, expected):
    assert extend_curve(before, asked, 10.0) == expected


def test_a_wrong_change_is_refused_and_the_sound_goes_on(shelf):
    listener = Listener(shelf, WISH)
    with pytest.raises(UserError, match="tempo must be above 0 and at most"):
        listener.change(replace(WISH, controls={"tempo": -5.0}))
    assert len(listener.chunk(0)) == 4 * CHUNK
    listener.change(replace(WISH, controls={"tempo": 170.0}))
    assert "lies outside the learned range" in listener.told[0]


def test_the_last_minute_is_a_piece_that_sounds_as_it_did(shelf):
    listener = Listener(shelf, replace(WISH, start=0.5))
    heard = np.concatenate([sound_of(listener.chunk(number)) for number in range(2)])
    wish = listener.last_minute()
    assert (wish.start, wish.seconds) == (0.5, 1.0)
    assert np.abs(rendered(shelf, wish, wish.start, wish.seconds) - heard).max() < 1e-4


def test_listeners_are_kept_apart_and_bounded(shelf, monkeypatch):
    monkeypatch.setattr(live, "MOST_LISTENERS", 2)
    listeners = Listeners(shelf)
    names = [listeners.open(replace(WISH, seed=seed)) for seed in (7, 8)]
    first, second = (sound_of(listeners.find(name).chunk(0)) for name in names)
    assert np.abs(first - rendered(shelf, WISH, 0.0, CHUNK_SECONDS)).max() < 1e-4 and not np.array_equal(first, second)
    with pytest.raises(UserError, match="2 listeners already play endlessly here"):
        listeners.open(WISH)
    monkeypatch.setattr(live, "IDLE_SECONDS", -1.0)
    listeners.open(WISH)  # in the place of those who went away
    with pytest.raises(UserError, match="has ended"):
        listeners.find(names[0])
