"""The pictures of README: the overview and a found event. Written into the folder `readme` of SCREENSHOTS, if that is set."""

import os
from pathlib import Path

from watched import arguments, browser, open_page

# About as wide as README is shown.
LOOK = {"viewport": {"width": 1200, "height": 640}, "color_scheme": "light"}

with browser() as watched:
    page = watched.context(LOOK).new_page()
    for name, path in [("overview", "/"), ("find", f"/find?as=trace-id&id={arguments['found']}")]:
        open_page(page, path)
        watched.check(page.locator("main [data-state]").count() > 0, f"{path}: {page.inner_text('main')}")
        if os.environ.get("SCREENSHOTS"):
            folder = Path(os.environ["SCREENSHOTS"], "readme")
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / f"console-{name}.webp", type="webp", quality=75)
