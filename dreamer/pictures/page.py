"""A page of dreams: a single HTML file that needs no other file and no network. A click shows a dream large, with
the command that makes it."""

import base64
import html
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PAGES = (".htm", ".html")
MARK = '<meta name="generator" content="image-dreamer">'  # in every page, near its start

_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
{mark}
<title>{title}</title>
<style>
body {{ background: #181818; color: #e6e6e6; font: 15px/1.4 sans-serif; margin: 1em }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(13em, 1fr)); gap: 1em }}
figure {{ margin: 0; cursor: zoom-in; outline: 0 }}
img {{ width: 100%; display: block }}
figcaption {{ overflow-wrap: anywhere }}
code {{ display: none; user-select: all; white-space: pre-wrap; margin-top: .5em; color: #9c9 }}
figure:focus, figure:focus-within {{ position: fixed; inset: 0; overflow: auto; padding: 1em; background: #000;
  cursor: default; text-align: center; z-index: 1 }}
figure:focus img, figure:focus-within img {{ {large}; margin: auto }}
figure:focus code, figure:focus-within code {{ display: block }}
</style>
<h1>{title}</h1>
<p>Click a dream to see it large, with the command that makes it; click the command to select it for copying.
The Tab key shows the next dream; Escape, or a click on the dream, goes back.</p>
<main>
{figures}
</main>
<script>
addEventListener("keydown", event => {{ if (event.key == "Escape") document.activeElement.blur() }})
addEventListener("mousedown", event => {{
  if (event.target.tagName == "IMG" && event.target.parentNode == document.activeElement) {{
    document.activeElement.blur()
    event.preventDefault()
  }}
}})
</script>
</html>
"""
_LARGE = {True: "width: auto; max-width: none", False: "width: 100%; height: calc(100vh - 9em); object-fit: contain"}
_FIGURE = """<figure tabindex="0"><img alt="{name}" src="data:image/jpeg;base64,{data}">
<figcaption><b>{name}</b> {words}<code>{command}</code></figcaption></figure>"""


def page(title: str, picture: NDArray[np.uint8], dreams: list[tuple[str, NDArray[np.uint8], str, str]],
         full: bool) -> str:
    """The text of the page.

    title    heading of the page
    picture  the picture that was dreamed, uint8 (h, w, 3)
    dreams   [(name, uint8 (h, w, 3), command, description)]
    full     whether a click shows a dream pixel by pixel, not scaled to the screen"""
    figures = [_figure("the picture", picture, "", "")] + [_figure(*dream) for dream in dreams]
    return _PAGE.format(mark=MARK, large=_LARGE[full], title=html.escape(title), figures="\n".join(figures))


def _figure(name: str, pixels: NDArray[np.uint8], command: str, words: str) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90, subsampling=0)
    return _FIGURE.format(name=html.escape(name), data=base64.b64encode(file.getvalue()).decode(),
                          command=html.escape(command), words=html.escape(words))
