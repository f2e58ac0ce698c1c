"""Serves the page, the files of visits and endless sound, from one process."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musika.app.live import Listeners
from musika.app.recordings import MOST_UPLOAD
from musika.app.shelf import Shelf
from musika.app.studio import extra_file
from musika.app.visits import Visits
from musika.checks import UserError

FIRST_PORT, LAST_PORT = 7860, 7899  # tried in turn when no port is asked for; Gradio's usual one first
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Stage:
    """What the page and the routes share.

    Attributes:
        shelf: The presets.
        visits: The visits.
        listeners: The endless streams.
        longest: Greatest length of a piece, in seconds.
    """

    shelf: Shelf
    visits: Visits
    listeners: Listeners
    longest: float


@contextmanager
def open_stage(shelf: Shelf, longest: float, out: str | Path | None = None) -> Iterator[Stage]:
    """Make room for visits.

    Args:
        shelf: The presets.
        longest: Greatest length of a piece, in seconds.
        out: Folder in which pieces stay; None for one that is removed at the end.

    Yields:
        The stage.
    """
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="musika-app-"))
    try:
        yield Stage(shelf, Visits(folder, keep=out is not None), Listeners(shelf), longest)
    finally:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)


def build_app(stage: Stage) -> Any:
    """Make the web application.

    Args:
        stage: What is served.

    Returns:
        A FastAPI application with the page at ``/``, files at ``/piece/`` and endless sound at ``/live/``.
    """
    import gradio as gr
    from fastapi import FastAPI
    from fastapi.responses import FileResponse, JSONResponse, Response

    from musika.app.page import build_page

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(UserError)
    def say(request: Any, error: UserError) -> JSONResponse:
        """Answer by the message: what was asked for is gone."""
        return JSONResponse({"error": str(error)}, status_code=410)

    @app.get("/live/{name}/{number}")
    def chunk(name: str, number: int) -> Response:
        """The next sound of an endless stream."""
        sound = stage.listeners.find(name).chunk(number)
        return Response(sound, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})

    @app.post("/live/{name}/stop")
    def stop(name: str) -> Response:
        """End an endless stream."""
        stage.listeners.close(name)
        return Response(status_code=204)

    @app.get("/piece/{key}/{number}/{what}")
    def file(key: str, number: int, what: str) -> FileResponse:
        """A file that lies beside a piece."""
        path = extra_file(stage.shelf, stage.visits.find(key).piece(number), what)
        return FileResponse(path, filename=path.name, content_disposition_type="inline")

    return gr.mount_gradio_app(
        app,
        build_page(stage),
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        max_file_size=MOST_UPLOAD,
        theme=gr.themes.Default(
            primary_hue="orange",
            neutral_hue="slate",
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
        css_paths=[_HERE / "page.css"],
        head=f"<script>{(_HERE / 'page.js').read_text('utf-8')}</script>",
    )


def bind(host: str, port: int | None) -> socket.socket:
    """Take a port.

    Args:
        host: Address to listen at.
        port: The port; None for the first that is free from 7860.

    Returns:
        A bound socket.

    Raises:
        UserError: If the port is taken or the address is not this machine's.
    """
    tried = [port] if port is not None else range(FIRST_PORT, LAST_PORT + 1)
    for candidate in tried:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, candidate))
            return listening
        except OSError as error:
            listening.close()
            reason = error.strerror or str(error)
    wanted = f"{host}:{port}" if port is not None else f"{host}, ports {FIRST_PORT} to {LAST_PORT}"
    raise UserError(f"cannot listen at {wanted}: {reason}. Give another --port, or a --host of this machine.")


def serve(stage: Stage, listening: socket.socket, announce: Callable[[], None]) -> None:
    """Serve until interrupted.

    Args:
        stage: What is served.
        listening: A bound socket.
        announce: Called when the page can be opened.
    """
    import uvicorn

    app = build_app(stage)
    threading.Thread(target=stage.shelf.load_all, daemon=True).start()  # while the visitor looks around
    listening.listen()  # whoever comes before the server runs waits for it
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
    announce()
    server.run(sockets=[listening])
