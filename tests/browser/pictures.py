"""The pictures of README: the overview and a found event. Written into the folder `readme` of SCREENSHOTS, if that is set."""

import os
from pathlib import Path

from playwright.sync_api import TimeoutError
from watched import arguments, ask, browser, open_page

# What the overview shows while events flow: a rate, the dead letters, and the time from event to row of today.
IS_FLOWING = """() => {
    const flow = document.querySelector('.flow')?.textContent ?? '';
    const text = document.querySelector('main').textContent;
    return /[1-9][0-9]*\\.[0-9]\\/s/.test(flow) && /p95/.test(text) && !/reading (them|the tables)/.test(text);
}"""


def flowing(page):
    for _ in range(12):
        ask("send events")
        try:
            return page.wait_for_function(IS_FLOWING, timeout=6_000)
        except TimeoutError:
            continue
    raise AssertionError(f"no events flow: {page.inner_text('main')}")


# About as wide as README is shown.
LOOK = {"viewport": {"width": 1200, "height": 640}, "color_scheme": "light"}

with browser() as watched:
    page = watched.context(LOOK).new_page()
    for name, path in [("overview", "/"), ("find", f"/find?as=trace-id&id={arguments['found']}")]:
        open_page(page, path)
        watched.check(page.locator("main [data-state]").count() > 0, f"{path}: {page.inner_text('main')}")
        if name == "overview":
            flowing(page)
        if os.environ.get("SCREENSHOTS"):
            folder = Path(os.environ["SCREENSHOTS"], "readme")
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / f"console-{name}.webp", type="webp", quality=75)
