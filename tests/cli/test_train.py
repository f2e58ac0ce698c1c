import argparse
import sys

import pytest

from musika.checks import UserError
from musika.cli import train


def parse(*words):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return parser.parse_args(words)


def test_the_arguments_of_a_generator_reach_the_training(monkeypatch):
    received = {}
    monkeypatch.setattr(
        "musika.training.generator_training.train_generator",
        lambda *given, **named: received.update(given=given, named=named),
    )
    words = (
        "generator --config small --codec c --data d --out o --from p --resume --steps 9 --minutes 2.5 --seed 4 --xla"
    )
    assert train.run(parse(*words.split())) == 0
    assert received["given"] == ("small", "c", "d", "o")
    expected = {"start": "p", "resume": True, "steps": 9, "minutes": 2.5, "seed": 4, "xla": True}
    assert received["named"] == expected


def test_the_arguments_of_a_codec_reach_the_training(monkeypatch):
    received = {}

    def record(*given, **named):
        received.update(given=given, named=named)
        return "folder"

    monkeypatch.setattr("musika.training.codec_training.train_codec", record)
    words = "codec --config debug --data corpus:techno --out o --steps 3 --phase level1_phase --minutes 1 --from p"
    assert train.run(parse(*words.split())) == 0
    config, data, out = received["given"]
    assert (data, out) == ("corpus:techno", "o")
    assert config.name == "debug"
    expected = {"resume": False, "phase": "level1_phase", "minutes": 1.0, "start": "p", "steps": 3}
    assert received["named"] == expected


def test_a_codec_that_goes_on_is_asked_for_what_it_has(monkeypatch):
    asked, received = [], []
    monkeypatch.setattr("musika.training.codec_training.train_codec", lambda *given, **named: received.append(named))
    monkeypatch.setattr("musika.training.codec_plan.check_resumed", lambda *given: asked.append(given))
    for words in ("--resume --steps 6", "--resume --config debug --data d --from p"):
        assert train.run(parse("codec", "--out", "o", *words.split())) == 0
    assert asked == [("o", None, None, None), ("o", "debug", "d", "p")]
    assert [named["steps"] for named in received] == [6, None]


@pytest.mark.parametrize("words", [[], ["codec"], ["generator"], ["piano", "--out", "o"]])
def test_what_is_missing_is_an_error_of_the_parser(words, capsys):
    with pytest.raises(SystemExit) as error:
        parse(*words)
    assert error.value.code == 2


def test_a_new_codec_needs_data():
    with pytest.raises(UserError, match="needs --data"):
        train.run(parse("codec", "--out", "o"))


def test_declaring_the_arguments_imports_nothing_heavy():
    import subprocess

    script = (
        "import sys, argparse; from musika.cli import train; train.add_arguments(argparse.ArgumentParser());"
        "sys.exit(any(name in sys.modules for name in ('keras', 'tensorflow', 'torch', 'librosa')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
