import json
import socket
import subprocess
import sys

import numpy as np
import pytest

from musika.app.server import bind
from musika.checks import UserError


def test_a_port_that_is_taken_is_told():
    with bind("127.0.0.1", None) as free:
        assert 7860 <= free.getsockname()[1] <= 7899
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen at 127.0.0.1:{port}: .* Give another --port"):
            bind("127.0.0.1", port)
    with pytest.raises(UserError, match="cannot listen at 192.0.2.1"):
        bind("192.0.2.1", 7860)


WRONG = {
    ("--port", "70000"): "port must be a whole number from 1 to 65535",
    ("--longest", "0"): "longest must be a number from 1",
    ("--precision", "int4"): "precision must be one of auto",
    ("--checkpoint", "no-such"): "there is no preset 'no-such'",
}
PROBE = """
import argparse, json, sys
from musika.cli import app
parser = argparse.ArgumentParser()
app.add_arguments(parser)
for arguments in json.loads(sys.argv[1]):
    try:
        app.run(parser.parse_args(arguments))
    except ValueError as error:
        print(error)
print(sorted({"gradio", "tensorflow", "keras"} & set(sys.modules)))
"""


def test_wrong_arguments_are_told_before_anything_heavy_is_imported():
    given = json.dumps([list(arguments) for arguments in WRONG])
    done = subprocess.run([sys.executable, "-c", PROBE, given], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines.pop() == "[]", done.stderr
    assert len(lines) == len(WRONG)
    for line, sentence in zip(lines, WRONG.values(), strict=True):
        assert line.startswith(sentence)


@pytest.mark.slow
def test_the_page_its_files_and_its_sound_are_served(stage, usual):
    from fastapi.testclient import TestClient

    from musika.app.actions import Actions
    from musika.app.server import build_app

    with TestClient(build_app(stage)) as client:
        actions = Actions(stage)
        assert "Musika" in client.get("/").text
        visitor = usual | {"visit": actions.enter({"visit": ""})["visit"], "shown": None, "live": ""}
        actions.make(visitor)
        place = f"/piece/{visitor['visit']}/1"
        whole = client.get(f"{place}/audio")
        assert whole.content[:4] == b"RIFF" and len(whole.content) == 44 + 4 * 44100
        part = client.get(f"{place}/audio", headers={"Range": "bytes=44-83"})
        assert part.status_code == 206 and part.content == whole.content[44:84]
        assert json.loads(client.get(f"{place}/settings").content)["seed"] == 7
        assert client.get(f"{place}/strip").content[:4] == b"\x89PNG"
        for wrong in (f"{place}/weights", "/piece/guessed/1/audio", "/live/guessed/0"):
            answer = client.get(wrong)
            assert answer.status_code == 410 and answer.json()["error"]
        live = json.loads(actions.start_live(visitor)["live"])
        sound = np.frombuffer(client.get(f"/live/{live['name']}/0").content, "<i2")
        assert live["rate"] == 44100 and len(sound) == 44100 and np.abs(sound).max() > 0
        assert client.post(f"/live/{live['name']}/stop").status_code == 204
        assert client.get(f"/live/{live['name']}/1").status_code == 410


@pytest.mark.slow
def test_it_listens_to_this_machine_alone_unless_asked(stage):
    with bind("127.0.0.1", None) as listening:
        listening.listen()
        address = socket.gethostbyname(socket.gethostname())
        if address.startswith("127."):
            pytest.skip("this machine has no other address")
        with socket.socket() as other, pytest.raises(OSError):
            other.settimeout(2)
            other.connect((address, listening.getsockname()[1]))
