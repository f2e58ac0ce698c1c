"""The page in the browser: Gradio before, ``piece.py`` behind, no music in between.

``shelf.py`` holds the presets, ``wishes.py`` reads what was asked for, ``studio.py`` makes files of it, ``visits.py``
keeps each visitor's apart, ``live.py`` plays without end; ``page.py`` is the page, ``server.py`` serves it all.
"""
