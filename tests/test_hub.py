"""Presets from the Hub, against a server on this machine: what is pulled, checked, converted, and what goes wrong."""

import contextlib
import hashlib
import io
import json
import pickle
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import soundfile
import yaml
from hub_server import FakeHub

from musika.checks import UserError
from musika.cli.main import VERBS, main
from musika.config import load_config
from musika.gan.critic import build_critic
from musika.hub import pull, stated_licence
from musika.hub_card import Statement, hub_card
from musika.hub_checks import check_preset_folder
from musika.hub_names import parse_hub_name, pulled_presets
from musika.hub_push import push
from musika.preset_names import find_preset, preset_names
from musika.presets import load_preset, save_preset
from musika.weights import load_weights

FIXTURE = Path(__file__).parent / "fixtures" / "upstream"
AE = ("enc.h5", "enc2.h5", "dec.h5", "dec2.h5")
GENERATOR = ("gen_ema.h5", "gen.h5", "critic.h5")


@pytest.fixture(scope="module")
def files(debug_preset_folder):
    """A toy preset's files by name."""
    return {path.name: path.read_bytes() for path in debug_preset_folder.iterdir()}


@pytest.fixture(autouse=True)
def verbs(monkeypatch):
    for verb in ("pull", "push"):
        monkeypatch.setitem(VERBS, verb, verb)


@pytest.fixture
def hub(monkeypatch, tmp_path, files):
    """The server, with a preset and the published repositories at toy width."""
    with FakeHub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("MUSIKA_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("musika.presets.cpu_has_bfloat16", lambda: False)
        server.repositories["me/toy"] = {**files, "README.md": b"# mine", "training.weights.h5": b"x", "opt.pkl": b"x"}
        published = {name: (FIXTURE / name).read_bytes() for name in (*AE, *GENERATOR)}
        server.repositories["marcop/musika_ae"] = {name: published[name] for name in AE}
        community = {name: published[name] for name in GENERATOR} | {"opt_dec.npy": b"p", "README.md": b"# community"}
        server.repositories["someone/musika-tabla"] = community
        yield server


def quiet(line):
    pass


def test_names_are_understood_in_every_spelling():
    for text in ("me/toy", "hf://me/toy", Path("hf://me/toy"), "https://huggingface.co/me/toy", "hf:/me/toy/"):
        assert str(parse_hub_name(text)) == "hf://me/toy"
    assert str(parse_hub_name("https://huggingface.co/me/toy/tree/v2/sub")) == "hf://me/toy@v2/sub"
    for text in ("toy", "hf://toy", "me/../toy", "hf://me/toy/../..", "me/toy;rm", "../toy", ""):
        with pytest.raises(UserError, match=r"is user/name.*Received"):
            parse_hub_name(text)


def test_a_preset_is_pulled_with_what_playing_needs_and_no_more(hub, debug_preset):
    folder = pull("me/toy", say=quiet)
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json", "metadata.json", "codec.weights.h5", "generator.weights.h5", "MODEL_CARD.md", "pulled.json"
    }  # fmt: skip
    assert {name.rpartition("/")[2] for name in hub.downloads} == (names | {"README.md"}) - {
        "pulled.json",
        "MODEL_CARD.md",
    }
    assert (folder / "MODEL_CARD.md").read_text() == "# mine"
    assert load_preset("hf://me/toy").hash == debug_preset.hash
    assert stated_licence(folder) == "not stated; ask its owner"
    (folder / "MODEL_CARD.md").write_text("---\nlicense: cc-by-4.0\n---\n# mine\n")
    assert stated_licence(folder) == "cc-by-4.0, says its MODEL_CARD.md"
    (folder / "MODEL_CARD.md").write_text("---\n" + "[" * 5000 + "\n---\n")
    assert stated_licence(folder) == "not stated; ask its owner"
    assert pulled_presets() == ["hf://me/toy"]


def test_a_name_on_the_hub_works_where_a_preset_does_and_needs_no_network_later(hub, monkeypatch, tmp_path):
    folder = find_preset(Path("hf://me/toy"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert find_preset("hf://me/toy") == folder == tmp_path / "cache" / "hub" / "me" / "toy"


@pytest.mark.slow
def test_the_command_line_plays_a_name_on_the_hub(hub, tmp_path, capsys):
    assert main(["pull", "me/toy"]) == 0
    assert "musika generate --checkpoint hf://me/toy" in capsys.readouterr().out
    out = str(tmp_path / "a.wav")
    assert main(["generate", "--checkpoint", "hf://me/toy", "--seconds", "0.05", "--seed", "1", "--out", out]) == 0


def test_pulling_again_gets_only_what_is_new(hub, files):
    folder = pull("me/toy", say=quiet)
    before = len(hub.downloads)
    lines = []
    pull("me/toy", say=lines.append)
    assert len(hub.downloads) == before and lines == [f"{folder}: up to date"]
    hub.repositories["me/toy"]["README.md"] = b"# newer"
    pull("me/toy", say=quiet)
    assert (folder / "MODEL_CARD.md").read_text() == "# newer"
    assert [path.name for path in folder.parent.iterdir()] == ["toy"]


def test_a_folder_of_ones_own_is_not_overwritten(hub, tmp_path):
    assert pull("me/toy", out=tmp_path / "mine", say=quiet) == tmp_path / "mine"
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").touch()
    with pytest.raises(UserError, match="exists and is no preset"):
        pull("me/toy", out=tmp_path / "texts", say=quiet)
    assert pulled_presets() == []


def test_a_download_that_broke_off_goes_on(hub, files):
    hub.cut.add("codec.weights.h5")
    with contextlib.suppress(UserError):  # huggingface_hub before 1.16 does not try again by itself
        pull("me/toy", say=quiet)
    folder = pull("me/toy", say=quiet)
    assert (folder / "codec.weights.h5").read_bytes() == files["codec.weights.h5"]
    assert hub.downloads.count("me/toy/codec.weights.h5") == 2 and hub.downloads.count("me/toy/config.json") == 1


def test_a_revision_and_a_folder_may_be_named(hub, files):
    hub.repositories["me/both"] = {f"{sub}/{name}": data for sub in ("a", "b") for name, data in files.items()}
    with pytest.raises(UserError, match=r"several presets; choose one: hf://me/both/a, hf://me/both/b"):
        pull("me/both", say=quiet)
    commit = hub.commit("me/both")
    folder = pull(f"me/both@{commit}/b", say=quiet)
    assert (folder / "config.json").read_bytes() == files["config.json"]
    assert pulled_presets() == [f"hf://me/both@{commit}/b"]
    hub.repositories["me/one"] = {f"deep/{name}": data for name, data in files.items()}
    assert pull("me/one", say=quiet).name == "one"


@pytest.mark.slow
def test_a_published_generator_alone_takes_the_published_autoencoder(hub):
    lines = []
    folder = pull("someone/musika-tabla", training=True, say=lines.append)
    assert "weights of the original code" in " ".join(lines)
    assert {name.rpartition("/")[2] for name in hub.downloads} == {*AE, *GENERATOR, "README.md"}
    assert (folder / "MODEL_CARD.md").read_text() == "# community"
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["training_networks"] == ["generator", "critic"]
    assert metadata["hub"] == "hf://someone/musika-tabla"
    digests = {name: hashlib.sha256((FIXTURE / name).read_bytes()).hexdigest() for name in (*AE, *GENERATOR)}
    assert metadata["imported"] == digests
    preset = load_preset(folder)
    assert preset.piece(seed=1).render(0.0, 0.02).shape == (882, 2)


@pytest.mark.slow
def test_the_autoencoder_is_got_once_and_is_a_codec_by_itself(hub):
    pull("someone/musika-tabla", say=quiet)
    assert not any("critic" in name or name.endswith("/gen.h5") for name in hub.downloads)
    before = len(hub.downloads)
    hub.repositories["other/model"] = {"gen_ema.h5": (FIXTURE / "gen_ema.h5").read_bytes()}
    pull("other/model", say=quiet)
    assert hub.downloads[before:] == ["other/model/gen_ema.h5"]
    preset = load_preset(pull("marcop/musika_ae", say=quiet))
    assert preset.generator is None
    assert preset.codec.config.spectral.hop_length == 32


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("name", r"there is no repository .*me/nothing, or it is private.*Already here: .*techno.*pulled: hf://me/toy"),
        ("network", r"http://127.0.0.1:9 cannot be reached.*Check the network.*Already here: .*techno"),
        ("gated", r"owner wants terms accepted.*hf auth login"),
        ("revision", r"has no branch, tag or commit 'v9'"),
        (
            "foreign",
            r"holds neither a preset .* nor published Musika weights .*It holds: config.json, model.safetensors",
        ),
        ("empty", r"config.json has 0 bytes"),
        ("outside", r"answers as no Hub does \('\.\./\S+' in hf://me/outside\)"),
    ],
)
def test_what_goes_wrong_is_said_with_what_is_here(hub, monkeypatch, files, wrong, message):
    pull("me/toy", say=quiet)
    hub.repositories["me/gated"] = hub.repositories["me/toy"]
    hub.gated.add("me/gated")
    hub.repositories["me/foreign"] = {"model.safetensors": b"x", "config.json": b"{}"}
    hub.repositories["me/empty"] = {**files, "config.json": b""}
    hub.repositories["me/outside"] = {f"../{name}": data for name, data in files.items()}
    if wrong == "network":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    names = {"name": "me/nothing", "network": "me/other", "revision": "me/toy@v9"}
    with pytest.raises(UserError, match=message) as caught:
        find_preset(f"hf://{names.get(wrong, f'me/{wrong}')}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_what_the_hub_lists_is_refused(hub):
    for name in ("config.json", "codec.weights.h5"):  # known by git's identifier, and by SHA-256
        hub.damage = {name}
        with pytest.raises(UserError, match=rf"{name} did not arrive as the Hub lists it.*pull again"):
            pull("me/toy", say=quiet)
    hub.damage = set()
    pull("me/toy", say=quiet)


def h5_with(**content):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, value in content.items():
            if isinstance(value, bytes):
                file.create_dataset(name, data=value.decode(), dtype=h5py.string_dtype())
            else:
                file[name] = value
    return buffer.getvalue()


def pickled_statistics():
    buffer = io.BytesIO()
    np.savez(buffer, mean=np.array([object()], dtype=object), std=np.ones(4))
    return buffer.getvalue()


def broken_statistics():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, mean=np.arange(64.0), std=np.ones(64))
    data = bytearray(buffer.getvalue())
    data[60:70] = bytes(10)  # in the deflated stream, whose error is none of zipfile's
    return bytes(data)


def sized(**changed):
    """The config of the toy preset with other sizes."""
    values = load_config("debug").to_dict()
    for part, sizes in changed.items():
        values[part].update({name: values[part][name] | s if isinstance(s, dict) else s for name, s in sizes.items()})
    return json.dumps(values).encode()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("codec.weights.h5", pickle.dumps([1]), "not an HDF5 file"),
        ("codec.weights.h5", h5_with(a=h5py.ExternalLink("/etc/passwd", "/x")), "points outside of itself"),
        ("codec.weights.h5", h5_with(a=h5py.SoftLink("/b")), "points outside of itself"),
        ("codec.weights.h5", h5_with(a=b"text"), "something else than numbers"),
        ("codec.weights.h5", h5_with(a=np.ones(99))[:300], "damaged"),
        ("statistics.npz", pickled_statistics(), "something else than plain arrays"),
        ("statistics.npz", pickle.dumps([1]), "something else than plain arrays"),
        ("config.json", b'{"name": "x", "tempo_of_doom": 3}', "tempo_of_doom"),
        ("config.json", sized(codec={"compact": {"level2_hidden": 200000}}), "level2_hidden must be"),
        ("config.json", sized(codec={"compact": {"trunk_blocks": 60}}), "trunk_blocks must be from 0 to 16, it is 60"),
        ("config.json", sized(codec={"architecture": "compact"}), "codec.weights.h5 holds at most"),
        ("config.json", sized(spectral={"hop_length": 4096}), "it wants a codec of"),
        ("config.json", sized(generator={"base_channels": 4096}), "it wants a generator of"),
        ("statistics.npz", broken_statistics(), "something else than plain arrays"),
        ("config.json", b"[1]", "must hold a JSON object"),
        ("metadata.json", b'{"codec": "../../../techno"}', "its codec lies elsewhere"),
        ("metadata.json", b'{"format": 7}', "Install a newer musika"),
        ("README.md", b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_files_are_checked_before_use(hub, name, data, message):
    hub.repositories["me/toy"][name] = data
    with pytest.raises(UserError, match=message):
        pull("me/toy", say=quiet)
    assert pulled_presets() == []


def test_numbers_that_a_file_has_no_bytes_for_do_not_count(hub, tmp_path):
    with h5py.File(tmp_path / "hollow.h5", "w") as file:
        file.create_dataset("weights", (4 * 10**9,), "float16", chunks=(10**6,))  # nothing is written of it
    hub.repositories["me/toy"]["generator.weights.h5"] = (tmp_path / "hollow.h5").read_bytes()
    hub.repositories["me/toy"]["config.json"] = sized(generator={"base_channels": 2048})
    with pytest.raises(UserError, match="it wants a generator of"):
        pull("me/toy", say=quiet)


def test_presets_that_ship_pass_the_checks(tmp_path):
    for name in preset_names():
        folder = shutil.copytree(find_preset(name), tmp_path / name, ignore=shutil.ignore_patterns("*.png"))
        check_preset_folder(folder)


STATEMENT = {
    "data": "Two hours of my own tabla recordings.",
    "code_licence": "MIT",
    "weights_licence": "cc-by-4.0",
    "outputs_licence": "Free | for any use",
}
FLAGS = [word for name, text in STATEMENT.items() for word in (f"--{name.replace('_', '-')}", text)]


@pytest.fixture
def shared_codec_preset(debug_preset, tmp_path):
    """A preset whose codec lies in another one, with the notes of a training."""
    other = save_preset(tmp_path / "codec", debug_preset.config, debug_preset.codec, measure_precision=False)
    notes = {"steps": 300, "hours": 0.25, "minutes_of_music": 120.5, "scores": {"frechet_generated": 3.25}}
    return save_preset(
        tmp_path / "mine",
        debug_preset.config,
        debug_preset.codec,
        debug_preset.generator,
        metadata={"generator_training": notes},
        shared_codec=other,
        measure_precision=False,
    )


def test_what_is_pushed_can_be_pulled_and_plays_the_same(hub, shared_codec_preset, debug_preset, capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_toy")
    monkeypatch.setattr("musika.hub_push.SAMPLE_SECONDS", 0.1)
    hub.token_needed = True
    assert main(["push", str(shared_codec_preset), "you/tabla", "--samples", "1", "--private", *FLAGS]) == 0
    assert "musika generate --checkpoint hf://you/tabla" in capsys.readouterr().out
    assert hub.created[0].get("private") or hub.created[0]["visibility"] == "private"
    files = hub.repositories["you/tabla"]
    assert {"config.json", "metadata.json", "codec.weights.h5", "generator.weights.h5", "README.md"} < set(files)
    assert soundfile.read(io.BytesIO(files["samples/seed-1.flac"]))[0].shape == (4410, 2)
    assert load_preset(pull("you/tabla", say=quiet)).hash == debug_preset.hash
    files["samples/seed-7.flac"] = b"old"
    assert main(["push", str(shared_codec_preset), "you/tabla", "--samples", "0", *FLAGS]) == 0
    assert not any(path.startswith("samples/") for path in files)


def test_the_card_says_what_was_said_and_what_is_known(shared_codec_preset, tmp_path):
    out = tmp_path / "staged"
    statement = Statement(**STATEMENT)
    push(shared_codec_preset, "you/tabla", statement, samples=0, out=out, say=quiet)
    card = (out / "README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert head["license"] == "cc-by-4.0" and "musika" in head["tags"]
    for text in (STATEMENT["data"], "| weights | cc-by-4.0 |", "| code | MIT |", "| outputs | Free \\| for any use |"):
        assert text in card
    for fact in ("minutes of music | 120.5", "steps | 300", "hours of training | 0.25", "frechet generated | 3.25"):
        assert f"| Generator {fact} |" in card
    assert "| Codec steps | not recorded |" in card
    assert str(tmp_path) not in card + (out / "metadata.json").read_text()


def test_the_critic_of_a_run_can_be_shared_so_that_others_train_on(debug_preset, tmp_path):
    parts = (debug_preset.config, debug_preset.codec, debug_preset.generator)
    alone = save_preset(tmp_path / "run" / "preset", *parts, measure_precision=False)
    with pytest.raises(UserError, match=r"has no critic to share.*Leave --training out"):
        push(alone, "you/x", Statement(**STATEMENT), samples=0, training=True, out=tmp_path / "a", say=quiet)
    critic, again = build_critic(debug_preset.config), build_critic(debug_preset.config)
    (tmp_path / "run" / "last").mkdir()
    critic.save_weights(tmp_path / "run" / "last" / "critic.weights.h5")
    push(tmp_path / "run", "you/x", Statement(**STATEMENT), samples=0, training=True, out=tmp_path / "b", say=quiet)
    assert json.loads((tmp_path / "b" / "metadata.json").read_text())["training_networks"] == ["critic"]
    load_weights({"critic": again}, tmp_path / "b" / "training.weights.h5")
    for one, two in zip(critic.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_an_unusual_licence_keeps_its_name():
    card = hub_card("you/x", Statement("d", "MIT", "My Own Licence v2", "o"), {}, [("samples/a.flac", "first")])
    head = yaml.safe_load(card.split("---")[1])
    assert (head["license"], head["license_name"]) == ("other", "my-own-licence-v2")
    assert 'src="https://huggingface.co/you/x/resolve/main/samples/a.flac"' in card


def test_nothing_is_assumed_away_from_a_terminal(shared_codec_preset, capsys):
    assert main(["push", str(shared_codec_preset), "you/tabla", "--data", "mine"]) == 2
    assert "say --code-licence, --weights-licence, --outputs-licence" in capsys.readouterr().err


def test_at_a_terminal_the_rest_is_asked_for(shared_codec_preset, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or "MIT")
    out = tmp_path / "staged"
    words = ["push", str(shared_codec_preset), "you/x", "--data", "mine", "--samples", "0", "--out", str(out)]
    assert main(words) == 0
    assert len(asked) == 3 and "| weights | MIT |" in (out / "README.md").read_text()
    monkeypatch.setattr("builtins.input", lambda text: " ")
    with pytest.raises(UserError, match="code licence must be said"):
        Statement(**{**STATEMENT, "code_licence": " "})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing-here", "you/x"], "there is no preset 'nothing-here'"),
        (["techno", "tabla"], "is user/name"),
        (["techno", "you/tabla@v2", "--samples", "0"], "without revision or folder"),
        (["techno", "you/x", "--samples", "99"], "samples must be a whole number from 0 to 20"),
        (["techno", "you/x", "--samples", "0"], r"cannot push hf://you/x.*hf auth login"),
    ],
)
def test_mistakes_in_pushing_are_one_line(hub, capsys, monkeypatch, words, message):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", "/nowhere")
    hub.token_needed = True
    assert main(["push", *words, *FLAGS]) == 2
    assert re.search(message, line := capsys.readouterr().err) and line.count("\n") == 1
