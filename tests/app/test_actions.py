import pytest

from musika.app.actions import Actions
from musika.app.visits import Visits
from musika.checks import UserError


@pytest.fixture
def visitor(stage, usual):
    """Fields of somebody who has opened the page."""
    entered = Actions(stage).enter({"visit": ""})
    return usual | {"visit": entered["visit"], "shown": None, "live": ""}


def test_a_piece_is_made_shown_and_remembered(stage, visitor):
    shown = Actions(stage).make(visitor)
    assert "steered · seed 7" in shown["player"] and shown["seed"] == "7" and shown["shown"] == 1
    assert shown["history"]["choices"][0][1] == 1
    again = Actions(stage).enter({"visit": visitor["visit"]})  # a reload
    assert again["visit"] == visitor["visit"] and again["shown"] == 1
    assert "data-begin" in shown["player"] and "data-begin" not in again["player"]


def test_an_unkept_seed_is_drawn_anew_and_items_count_up(stage, visitor):
    shown = Actions(stage).make(visitor | {"lock": False, "count": 2})
    pieces = stage.visits.find(visitor["visit"]).pieces
    assert [piece.wish.seed for piece in pieces.values()] == [int(shown["seed"]), int(shown["seed"]) + 1]
    assert shown["seed"] != "7"


def test_visitors_see_their_own_pieces_only(stage, visitor):
    actions = Actions(stage)
    other = visitor | {"visit": actions.enter({"visit": ""})["visit"]}
    actions.make(visitor)
    assert actions.enter({"visit": other["visit"]})["shown"] is None
    with pytest.raises(UserError, match="choose a piece of this visit first"):
        actions.replay(other | {"history": 1})
    with pytest.raises(UserError, match="Reload the page"):
        actions.make(visitor | {"visit": "guessed"})


def test_the_same_but_and_let_me_choose(stage, visitor):
    actions = Actions(stage)
    first = actions.make(visitor | {"tempo.mode": "steady", "tempo.first": 100.0})
    second = actions.make_same("tempo*1.1")(visitor | {"shown": first["shown"]})
    assert "tempo 110 BPM" in second["player"] and "seed 7" in second["player"]
    fields = actions.fill(visitor | {"shown": second["shown"]})
    assert fields["tempo.mode"]["value"] == "steady" and fields["tempo.first"]["value"] == pytest.approx(110.0)
    assert fields["seed"] == "7" and fields["lock"] is True


def test_a_preset_shows_its_own_controls(stage, visitor):
    actions = Actions(stage)
    toy, steered = (actions.choose(visitor | {"preset": name}) for name in ("toy", "steered"))
    assert not toy["tempo.group"]["visible"] and not toy["loop.bars"]["visible"]
    assert steered["tempo.group"]["visible"] and steered["tempo.first"]["maximum"] == 160.0


def test_points_are_sampled_heard_and_travelled(stage, visitor):
    actions = Actions(stage)
    gallery = actions.sample(visitor)["gallery"]
    assert gallery.count("data-point=") == 6 and not stage.visits.find(visitor["visit"]).pieces
    rows = actions.add_stop(visitor | actions.add_stop(visitor, "5"), "6")["path"]
    assert [row[0] for row in rows] == ["5", "6"]
    assert "path through 2 points" in actions.make(visitor | {"path": rows})["player"]


def test_endless_playing_follows_the_fields(stage, visitor):
    actions = Actions(stage)
    playing = visitor | actions.start_live(visitor)
    name = next(iter(stage.listeners._listeners))
    listener = stage.listeners.find(name)
    listener.chunk(0)
    actions.change_live(playing | {"tempo.mode": "steady", "tempo.first": 140.0})
    for number in range(1, 4):
        listener.chunk(number)
    kept = actions.keep(playing)
    assert "to 140 BPM" in kept["player"]
    with pytest.raises(UserError, match="the seed must be a whole number"):
        actions.change_live(playing | {"seed": "x"})
    actions.start_live(playing)  # ends the one before
    assert name not in stage.listeners._listeners
    actions.change_live(playing)  # of a stream that has ended: nothing happens


def test_old_pieces_make_room(tmp_path, monkeypatch, shelf):
    from musika.app import visits
    from musika.app.studio import make
    from musika.app.wishes import Wish

    monkeypatch.setattr(visits, "MOST_PIECES", 2)
    visit = Visits(tmp_path).open()
    for number in (1, 2, 3):
        visit.add(number, make(shelf, Wish("toy", number, seconds=0.5), visit.folder, f"p{number}")[0])
    assert list(visit.pieces) == [2, 3] and not (visit.folder / "p1.wav").exists()


def test_idle_visits_are_forgotten_with_their_files(tmp_path, monkeypatch):
    from musika.app import visits

    store = Visits(tmp_path)
    visit = store.open()
    visit.folder.mkdir()
    monkeypatch.setattr(visits, "IDLE_SECONDS", -1.0)
    assert store.open(visit.key).key != visit.key and not visit.folder.exists()


def test_a_visit_may_change_while_its_size_is_taken(tmp_path):
    store = Visits(tmp_path)
    visit = store.open()

    class Growing:
        """Stands for a piece beside which another one is made by another thread."""

        @property
        def bytes(self):
            visit.pieces[len(visit.pieces) + 1] = visit.recordings[str(len(visit.recordings))] = self
            return 5

    visit.pieces[1] = visit.recordings["0"] = Growing()
    assert visit.bytes == 10
    assert store.open(visit.key) is visit and len(visit.pieces) == len(visit.recordings) > 3
