import numpy as np
import pytest
import soundfile

from musika.app.studio import change_wish, extra_file, make, make_piece
from musika.app.wishes import LoopWish, Wish
from musika.checks import UserError

WISH = Wish("steered", 7, seconds=1.0, start=0.5, controls={"tempo": 120.0})


def test_a_piece_is_made_as_the_library_makes_it(shelf, tmp_path):
    seen = []
    made, sentences = make(shelf, WISH, tmp_path, "a", lambda done, whole: seen.append((done, whole)))
    audio, rate = soundfile.read(made.audio, dtype="float32")
    assert rate == 44100 and np.abs(audio - make_piece(shelf, WISH)[0].render(0.5, 1.0)).max() < 1e-4
    assert made.complete and seen[-1] == (1.0, 1.0) and not sentences
    assert made.title == "steered · seed 7 · 0:01 · from 0:00.5 · tempo 120 BPM · note density free"
    assert set(made.files) == {"audio", "settings", "strip"} and made.bytes > 44100 * 4


def test_other_files_are_made_when_asked_for_and_removed_with_it(shelf, tmp_path):
    made, _ = make(shelf, WISH, tmp_path, "a")
    for what, ending in (("latents", ".npz"), ("spectrogram", ".png"), ("point", ".json")):
        assert extra_file(shelf, made, what).suffix == ending and extra_file(shelf, made, what).is_file()
    with pytest.raises(UserError, match="a piece has no file 'weights'"):
        extra_file(shelf, made, "weights")
    made.remove()
    assert not list(tmp_path.iterdir())


def test_a_render_can_be_stopped_and_stays_playable(shelf, tmp_path):
    wish = Wish("steered", 7, seconds=30.0)
    made, _ = make(shelf, wish, tmp_path, "a", stopped=lambda: True)
    assert not made.complete and 0 < made.seconds < 30 and soundfile.info(made.audio).frames > 0


def test_a_loop_has_its_bars_and_turns(shelf, tmp_path):
    wish = Wish("steered", 7, controls={"tempo": 120.0}, loop=LoopWish(bars=1, turns=2))
    made, _ = make(shelf, wish, tmp_path, "a")
    audio, _ = soundfile.read(made.audio)
    assert len(audio) == 2 * 88200 and np.array_equal(audio[:88200], audio[88200:])
    assert "loop of 1 bars, 2 times" in made.title
    with pytest.raises(UserError, match="this would last 0:04; at most 0:03"):
        make(shelf, wish, tmp_path, "b", longest=3.0)
    assert "mp3 pads its ends" in make_piece(shelf, Wish("steered", 7, ending="mp3", loop=LoopWish(1)))[1][0]


def test_values_outside_the_learned_range_are_told(shelf):
    assert "tempo 170 lies outside" in make_piece(shelf, Wish("steered", 7, controls={"tempo": 170.0}))[1][0]


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        ("seed", "seed", 99),
        ("next", "start", 1.5),
        ("truncation*1.33", "truncation", 2.66),
        ("truncation*9", "truncation", 4.0),
        ("tempo*1.1", "controls", {"tempo": 132.0}),
        ("tempo*2", "controls", {"tempo": 160.0}),
    ],
)
def test_the_same_but_one_thing(shelf, change, field, expected):
    changed = change_wish(WISH, change, shelf.controls("steered"), lambda: 99)
    assert getattr(changed, field) == pytest.approx(expected)


def test_changes_that_a_piece_cannot_have_are_refused(shelf):
    with pytest.raises(UserError, match="a loop has nothing after it"):
        change_wish(Wish("steered", 7, loop=LoopWish()), "next", {}, lambda: 1)
