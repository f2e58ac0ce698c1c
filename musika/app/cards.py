"""Pieces as HTML: the player with its strip, and the lines of the history."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from musika.app.studio import Made
from musika.app.visits import Visit
from musika.app.wishes import show_clock

_PRELOADED = 600.0  # seconds: of longer pieces a browser fetches what it plays
_MARKS = 5  # times written below a strip
LIVE = """<div class="mk-live" id="mk-live" hidden>
<canvas id="mk-sky" width="600" height="96"></canvas>
<div class="mk-line"><button type="button" class="mk-button" id="mk-stop" onclick="musika.stop()">&#9632; Stop</button>
<span id="mk-said" role="status"></span></div></div>"""
HEAD = "<h1>Musika</h1><p>Endless music from a seed, made on this machine, faster than it plays.</p>"
GALLERY_SCRIPT = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-point]');
  if (button) trigger('click', { point: button.dataset.point });
});"""
EMPTY = (
    '<div class="mk-empty">What you make plays here. Each seed is another piece; the same seed is the same piece.</div>'
)


def player_html(visit: Visit, number: int, autoplay: bool = True) -> str:
    """A player for a piece of a visit.

    Args:
        visit: The visit.
        number: The piece's number.
        autoplay: Whether it begins at once.

    Returns:
        HTML; ``page.js`` moves its playhead and seeks where the strip is clicked.

    Raises:
        UserError: If there is no such piece.
    """
    made = visit.piece(number)
    place = f"piece/{quote(visit.key)}/{int(number)}"
    start, marks = made.start, range(_MARKS)
    times = "".join(f"<span>{show_clock(round(start + made.seconds * mark / (_MARKS - 1)))}</span>" for mark in marks)
    ending = made.audio.suffix[1:]
    files = {"audio": f"Audio ({ending})", "settings": "Settings", "latents": "Latents", "spectrogram": "Spectrogram"}
    if made.wish.path is None and not made.wish.alone:
        files["point"] = "Point"
    links = "".join(
        f'<a href="{place}/{what}" download="{escape(_file_name(made, what), quote=True)}">{escape(text)}</a>'
        for what, text in files.items()
    )
    cut = "" if made.complete else " · stopped early"
    begin = " data-begin" if autoplay else ""
    if made.wish.loop is None:
        preload = "auto" if made.seconds <= _PRELOADED else "metadata"
        sound = f'<audio controls preload="{preload}" src="{place}/audio"></audio>'
    else:
        sound = f'<button type="button" class="mk-button mk-turn" data-src="{place}/audio">the loop</button>'
    return (
        f'<div class="mk-player" data-seconds="{made.seconds:.6f}" data-number="{int(number)}"{begin}>'
        f'<div class="mk-title"><b>{int(number)}</b> {escape(made.title)}{cut}</div>'
        f'<div class="mk-strip" title="Click to go there"><img src="{place}/strip" alt="waveform and spectrogram">'
        f'<i class="mk-head"></i></div><div class="mk-times">{times}</div>{sound}'
        f'<div class="mk-links">Download: {links}</div>'
        f'<div class="mk-note">made in {made.elapsed:.1f} s, {made.seconds / max(made.elapsed, 1e-9):.0f} times faster'
        " than it plays</div></div>"
    )


def gallery_html(visit: Visit, numbers: list[int]) -> str:
    """Small players for previews of points, each with a button that adds it to the path.

    Args:
        visit: The visit.
        numbers: Numbers of the previews.

    Returns:
        HTML.

    Raises:
        UserError: If there is no such preview.
    """
    boxes = []
    for number in numbers:
        made, place = visit.piece(number), f"piece/{quote(visit.key)}/{int(number)}"
        seed, name = made.wish.seed, escape(_file_name(made, "point"), quote=True)
        boxes.append(
            f'<div class="mk-player mk-small" data-seconds="{made.seconds:.6f}"><div class="mk-strip">'
            f'<img src="{place}/strip" alt="waveform and spectrogram"><i class="mk-head"></i></div>'
            f'<audio preload="auto" src="{place}/audio"></audio><div class="mk-line">'
            f'<button type="button" class="mk-button mk-turn" title="play"></button>'
            f'<button type="button" class="mk-button" data-point="{seed}">+ add</button>'
            f'<a href="{place}/point" download="{name}">{seed}</a></div></div>'
        )
    return f'<div class="mk-gallery">{"".join(boxes)}</div>'


def _file_name(made: Made, what: str) -> str:
    """The name under which a file is downloaded."""
    return (
        made.audio.name
        + {"audio": "", "settings": ".json", "latents": ".npz", "spectrogram": ".png", "point": ".point.json"}[what]
    )


def history_choices(visit: Visit) -> list[tuple[str, int]]:
    """The lines of a visit's history, newest first.

    Args:
        visit: The visit.

    Returns:
        Pairs of text and the piece's number.
    """
    pieces = dict(visit.pieces)  # a copy: other threads add and remove meanwhile
    return [(f"{number} · {pieces[number].title}", number) for number in sorted(pieces, reverse=True)]
