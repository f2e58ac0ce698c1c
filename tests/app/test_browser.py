"""The page in a real browser: needs playwright (from PyPI) and a Chromium on the path; skipped without them."""

import io
import os
import shutil
import threading
import time

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.slow
playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 120_000  # milliseconds: this machine may be busy
if CHROMIUM is None:
    pytest.skip("no Chromium on the path", allow_module_level=True)


@pytest.fixture(scope="module")
def served(steered_folder, debug_preset_folder, tmp_path_factory):
    """The app on a free port: its stage and address."""
    import uvicorn

    from musika.app.server import bind, build_app, open_stage
    from musika.app.shelf import Shelf
    from musika.preset_names import preset_names

    shelf = Shelf([str(steered_folder), str(debug_preset_folder), *preset_names()])
    with open_stage(shelf, 120.0, tmp_path_factory.mktemp("made")) as stage:
        listening = bind("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(build_app(stage), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield stage, f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(served, browser):
    """Opens the page as another visitor each time."""
    contexts, mistakes = [], []

    def open_page(width=1280, height=1000):
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        enter(page, served[1])
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not mistakes


def enter(page, address):
    page.goto(address)
    page.wait_for_selector("#mk-make")
    page.wait_for_function("localStorage.getItem('musika-visit')?.length > 9")


def ask(page, **fields):
    for name, value in fields.items():
        box = page.locator(f"#mk-{name} input, #mk-{name} textarea").first
        box.fill(value)
        box.press("Enter")
        page.wait_for_timeout(300)


def player_shows(page, number, side="a"):
    found = f"#mk-player-{side} .mk-player"
    page.wait_for_function(f"document.querySelector('{found}')?.dataset.number === '{number}'")
    return page.locator(found)


def sound_of(page, player):
    path = player.locator("[data-src], audio").first.evaluate("part => part.dataset.src ?? part.src")
    return soundfile.read(
        io.BytesIO(page.request.get(page.evaluate(f"new URL('{path}', document.baseURI).href")).body())
    )


def moves(page, look, before=None):
    page.wait_for_function(f"{look} > {before if before is not None else page.evaluate(look)}")


HEARD = "musika.where(document.querySelector('#mk-player-a .mk-player'))"


def test_a_piece_is_made_heard_and_sought(visit):
    page = visit()
    ask(page, length="0:08", seed="7")
    page.click("#mk-make")
    player = player_shows(page, 1)
    audio, rate = sound_of(page, player)
    assert rate == 44100 and audio.shape == (8 * 44100, 2) and audio.std(axis=0).min() > 1e-3
    assert not np.array_equal(audio[:, 0], audio[:, 1])
    assert "seed 7" in player.inner_text()
    moves(page, HEARD, 0.2)
    strip = player.locator(".mk-strip")
    page.wait_for_function("document.querySelector('.mk-strip img').naturalWidth === 1200")
    player.locator("audio").evaluate("audio => audio.pause()")
    strip.click(position={"x": 0.75 * strip.bounding_box()["width"], "y": 40})
    assert page.evaluate(HEARD) == pytest.approx(6.0, abs=0.2)
    for text in ("Settings", "Latents", "Spectrogram", "Point"):
        link = player.get_by_role("link", name=text)
        assert page.request.get(link.evaluate("link => link.href")).ok and link.get_attribute("download")


def test_chunks_are_joined_to_the_sample(visit):
    page = visit()
    joined = page.evaluate(
        """async () => {
          const rate = 44100, length = 22050, count = 5, context = new OfflineAudioContext(2, length * (count + 1), rate);
          const given = Int16Array.from({ length: 2 * length * count }, () => Math.floor(Math.random() * 65536) - 32768);
          for (let at = 0; at < count; at++) {
            const bytes = given.slice(2 * length * at, 2 * length * (at + 1)).buffer;
            musika.schedule(context, context.destination, musika.buffer_of(context, bytes, rate), 4321 + at * length);
          }
          const heard = await context.startRendering();
          let worst = 0;
          for (let channel = 0; channel < 2; channel++)
            for (let at = 0; at < length * count; at++)
              worst = Math.max(worst, Math.abs(
                heard.getChannelData(channel)[4321 + at] - given[2 * at + channel] / 32768));
          return worst;
        }"""
    )
    assert joined < 1e-6


def test_endless_sound_has_no_gap_while_controls_are_moved(visit, served):
    stage, _ = served
    page = visit()
    presets = [name for name in ("techno", "piano", "steered", "toy") if name in stage.shelf.names][:2]
    for name in presets:
        stage.shelf.get(name)
    page.get_by_label(presets[0]).click()
    ask(page, seed="7")
    page.click("#mk-endless")
    page.wait_for_function("musika.stats.chunks > 0")
    begun = time.monotonic()
    listener = next(reversed(stage.listeners._listeners.values()))
    delays = []
    for tempo in ("150", "100", "140") if page.locator("#mk-tempo").is_visible() else ():
        page.wait_for_timeout(4000)
        waiting_until = listener.seconds  # what the page has, and will play before the change
        ask(page, tempo=tempo)
        page.wait_for_timeout(4000)
        points = listener.last_minute().controls["tempo"]
        assert points[-1][1] == float(tempo)
        delays.append(points[-2][0] - waiting_until)
    assert min(delays, default=0.0) < 2.0  # the least: the machine may be busy
    while time.monotonic() - begun < 60:
        page.click("#mk-dice")
        ask(page, truncation="1.5")
        for name in reversed(presets):
            page.get_by_label(name).click()
            page.wait_for_timeout(3000)
    stats = page.evaluate("musika.stats")
    assert stats["samples"] >= 60 * 44100 and listener.wish.truncation == 1.5
    if stats["underruns"] and os.getloadavg()[0] > 2 * (os.cpu_count() or 1):
        pytest.skip("this machine is too busy to tell whether sound keeps up")
    assert stats["underruns"] == 0
    page.click("#mk-keep")
    assert "from" in player_shows(page, 1).inner_text()
    assert page.locator("#mk-live").is_hidden()  # one sound at a time


def test_history_reload_and_comparing(visit, served):
    page = visit()
    ask(page, length="0:06", seed="7")
    page.click("#mk-make")
    player_shows(page, 1)
    page.get_by_role("button", name="faster").click()
    second = player_shows(page, 2)
    assert "seed 7" in second.inner_text()
    page.locator("#mk-history label").nth(1).click()
    player_shows(page, 1)
    page.locator("#mk-compare input").click()
    page.get_by_role("option").filter(has_text="2 ·").click()
    player_shows(page, 2, side="b")
    moves(page, HEARD, 0.5)
    page.click("#mk-swap")
    page.wait_for_function("musika.is_playing(document.querySelector('#mk-player-b .mk-player'))")
    assert not page.evaluate("musika.is_playing(document.querySelector('#mk-player-a .mk-player'))")
    enter(page, served[1])
    player_shows(page, 2)
    assert page.locator("#mk-history label").count() == 2
    page.click("#mk-fill")
    page.wait_for_function("document.querySelector('#mk-seed textarea, #mk-seed input').value === '7'")


def test_two_visitors_at_once_get_their_own_pieces(visit, served):
    pages = [visit(), visit()]
    for page, seed in zip(pages, ("11", "12"), strict=True):
        ask(page, length="0:05", seed=seed)
    for page in pages:
        page.click("#mk-make")
    for page, seed in zip(pages, (11, 12), strict=True):
        player = player_shows(page, 1)
        assert f"seed {seed}" in player.inner_text() and page.locator("#mk-history label").count() == 1
        expected = served[0].shelf.get("steered").piece(seed=seed).render(0.0, 5.0)
        assert np.abs(sound_of(page, player)[0] - expected).max() < 1e-4


def test_bad_input_is_answered_with_a_sentence_and_the_page_goes_on(visit, tmp_path):
    page = visit()
    (tmp_path / "bad.json").write_text("{")
    page.get_by_role("button", name="More").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take settings").click()
    chooser.value.set_files(tmp_path / "bad.json")
    page.get_by_text("The file bad.json is not a sidecar").first.wait_for()
    ask(page, length="soon")
    page.click("#mk-make")
    page.get_by_text("The length must be a time such as 45").first.wait_for()
    page.locator("#mk-cancel").wait_for(state="hidden")
    ask(page, length="0:02", seed="minus one")
    page.click("#mk-endless")
    page.get_by_text("The seed must be a whole number from 0").first.wait_for()
    ask(page, seed="5")
    page.click("#mk-make")
    assert "seed 5" in player_shows(page, 1).inner_text()


def test_a_loop_plays_looped(visit):
    page = visit()
    ask(page, seed="7", tempo="150")
    page.get_by_role("button", name="Loop", exact=False).first.click()
    page.check("#mk-loop input")
    ask(page, bars="1")
    page.click("#mk-make")
    player = player_shows(page, 1)
    assert "loop of 1 bars" in player.inner_text() and len(sound_of(page, player)[0]) == round(1.6 * 44100)
    page.wait_for_function("musika.is_playing(document.querySelector('.mk-player'))")
    page.wait_for_timeout(2500)
    assert page.evaluate("musika.is_playing(document.querySelector('.mk-player'))")
    assert page.evaluate(HEARD) < 1.6
    player.locator(".mk-turn").click()
    assert not page.evaluate("musika.is_playing(document.querySelector('.mk-player'))")


def test_points_are_sampled_and_travelled(visit):
    page = visit()
    ask(page, length="0:04")
    page.get_by_role("button", name="Path").click()
    page.click("#mk-sample")
    page.wait_for_selector(".mk-gallery")
    assert page.locator("[data-point]").count() == 6
    for number in (0, 3):
        seed = page.locator("[data-point]").nth(number).get_attribute("data-point")
        page.locator("[data-point]").nth(number).click()
        page.wait_for_function(f"document.getElementById('mk-path').textContent.includes('{seed}')")
    page.click("#mk-make")
    assert "path through 2 points" in player_shows(page, 1).inner_text()


def bring(page, path):
    """Opens the section of recordings and uploads one."""
    if not page.locator("#mk-blend").is_visible():
        page.get_by_role("button", name="Your recording").click()
    page.locator("#mk-recording input[type=file]").set_input_files(path)


def brought(page, name):
    page.wait_for_function(f"document.getElementById('mk-recording-shown')?.textContent.includes('{name}')")
    page.locator("#mk-recording input[type=file]").wait_for(state="attached")  # ready for another one


def tone(path, pitch, seconds=3.0):
    times = np.arange(round(44100 * seconds)) / 44100
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * times), 44100)
    return path


def test_a_recording_glides_into_a_piece_and_back(visit, served, tmp_path):
    page = visit()
    ask(page, length="0:04", seed="7")
    bring(page, tone(tmp_path / "my song.wav", 220.0))
    brought(page, "my song.wav")
    ask(page, glide="1")
    page.check("#mk-back input")
    page.click("#mk-blend")
    player = player_shows(page, 1)
    assert "my song.wav → steered → back, gliding 1 s" in player.inner_text() and "seed 7" in player.inner_text()
    audio, rate = sound_of(page, player)
    assert rate == 44100 and len(audio) == pytest.approx(8 * 44100, abs=2000) and audio.std(axis=0).min() > 1e-4
    moves(page, HEARD, 0.2)
    for text in ("Settings", "Latents", "Spectrogram"):
        link = player.get_by_role("link", name=text)
        assert page.request.get(link.evaluate("link => link.href")).ok and link.get_attribute("download")
    page.get_by_label("Mix", exact=True).check()
    page.locator("#mk-gain").wait_for()
    assert page.locator("#mk-glide").is_hidden()
    page.click("#mk-blend")
    assert "50% my song.wav + 50% steered" in player_shows(page, 2).inner_text()
    page.get_by_label("Through the codec").check()
    page.locator("#mk-gain").wait_for(state="hidden")
    page.click("#mk-blend")
    assert "my song.wav through the codec of steered · 0:03" in player_shows(page, 3).inner_text()
    enter(page, served[1])  # a reload forgets neither the pieces nor the recording
    page.get_by_role("button", name="Your recording").click()
    brought(page, "my song.wav")
    assert page.locator("#mk-history label").count() == 3


def test_two_visitors_at_once_keep_their_own_recordings(visit, tmp_path):
    pages = [visit(), visit()]
    for page, pitch in zip(pages, (220.0, 330.0), strict=True):
        folder = tmp_path / str(pitch)
        folder.mkdir()
        bring(page, tone(folder / "same name.wav", pitch))
    for page in pages:
        brought(page, "same name.wav")
        page.get_by_label("Through the codec").check()
    for page in pages:
        page.click("#mk-blend")
    first, second = (sound_of(page, player_shows(page, 1))[0] for page in pages)
    assert len(first) == len(second) == 3 * 44100 and not np.array_equal(first, second)


def test_a_file_that_cannot_be_used_is_answered_with_a_sentence(visit, tmp_path):
    page = visit()
    (tmp_path / "notes.txt").write_text("no music")
    soundfile.write(tmp_path / "many.wav", np.zeros((4410, 3)), 44100)
    bring(page, tmp_path / "notes.txt")
    page.get_by_text("The file notes.txt: not readable as audio").first.wait_for()
    bring(page, tmp_path / "many.wav")
    page.get_by_text("only mono and stereo are supported").first.wait_for()
    page.click("#mk-blend")
    page.get_by_text("Choose a recording first").first.wait_for()
    ask(page, length="0:03")
    bring(page, tone(tmp_path / "short.wav", 220.0, 1.0))
    brought(page, "short.wav")
    page.click("#mk-blend")
    page.get_by_text("The recording is too short for this glide").first.wait_for()
    ask(page, glide="0.5")
    page.click("#mk-blend")
    assert "short.wav → steered" in player_shows(page, 2).inner_text()


def test_the_page_fits_a_phone(visit):
    page = visit(width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    ask(page, length="0:03")
    page.click("#mk-make")
    player = player_shows(page, 1)
    page.wait_for_timeout(1500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert (
        page.evaluate(
            "Math.max(...[...document.querySelectorAll('.mk-player *')].map(part => part.getBoundingClientRect().right))"
        )
        <= 390
    )
    box = player.bounding_box()
    assert box["width"] <= 390 and 0 <= box["y"] < 844  # it has been brought into view
    page.get_by_role("button", name="Your recording").click()
    for tool in ("Glide", "Mix"):
        page.get_by_label(tool, exact=True).check()
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#mk-blend").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
