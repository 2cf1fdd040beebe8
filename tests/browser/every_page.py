"""Every page, found by its links, in light, dark and on a phone: it runs nothing hostile, axe-core finds nothing, and nothing is
wider than the screen."""

import re
import time
from urllib.parse import unquote, urlsplit

from watched import COLOURS, LOOKS, RULES, arguments, axe, browser, open_page, picture

# Pages with the same path up to the ids and dates in it: the first ones stand for the others.
MOST_OF_A_KIND = 2

# Elements that are wider than their page, unless a region that can be scrolled by keyboard contains them.
TOO_WIDE = """() => {
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    const hidden = [...document.querySelectorAll('main, main *')].filter(it =>
        it.scrollWidth > it.clientWidth + 1 && ['auto', 'scroll'].includes(getComputedStyle(it).overflowX)
        && !(it.tabIndex === 0 && it.getAttribute('role') === 'region' && it.getAttribute('aria-label')));
    return (wide > 0 ? [`the page is ${wide} px too wide`] : [])
        .concat(hidden.map(it => `scrolls and is no region with a name: ${it.outerHTML.slice(0, 200)}`));
}"""


def kind(link):
    return re.sub(r"[^/]*\d[^/]*", "#", urlsplit(link).path)


def links(page):
    """Returns the paths of this server that a page leads to, without those of parts that htmx puts into the page."""
    found = page.eval_on_selector_all("a[href]:not([hx-get])", "links => links.map(link => link.href)")
    local = [urlsplit(link) for link in found if link.startswith(f"{page.evaluate('location.origin')}/")]
    return [link._replace(scheme="", netloc="", fragment="").geturl() for link in local]


def visit_all(watched):
    """Opens every page once in light. Returns their paths."""
    page = watched.context().new_page()
    open_page(page, "/")
    navigation = links(page)
    wanted = [*navigation, *arguments["paths"]]
    to_visit, visited = list(wanted), []
    while to_visit:
        path = to_visit.pop(0)
        if path in visited:
            continue
        of_a_kind = [other for other in visited if kind(other) == kind(path)]
        if path not in wanted and len(of_a_kind) >= MOST_OF_A_KIND:
            continue
        started = time.monotonic()
        status = open_page(page, path)
        visited.append(path)
        is_right = status == 200 or status in watched.expected and path not in navigation
        watched.check(is_right, f"{path}: status {status}")
        found = links(page)
        to_visit.extend(found)
        examine(watched, page, path, "light")
        text = page.inner_text("body")
        for part in arguments["paths"].get(path, []):
            watched.check(part in text, f"{path}: does not contain {part!r}: {text}")
        print(f"{path}: {time.monotonic() - started:.1f} s, {len(found)} links")
    return visited


def examine(watched, page, path, look):
    for text in [*axe(page, COLOURS if look == "dark" else RULES), *page.evaluate(TOO_WIDE)]:
        watched.check(False, f"{look} {path}: {text}")
    hostile = page.query_selector_all("main script, main img, main iframe, main [onerror], main a[href^='javascript']")
    watched.check(not hostile, f"{look} {path}: {[element.evaluate('it => it.outerHTML') for element in hostile]}")
    name = unquote(path).strip("/").split("?")[0].replace("/", "-") or "overview"
    picture(page, f"{''.join(letter for letter in name if letter.isalnum() or letter == '-')}-{look}")


with browser() as watched:
    watched.expected = {400, 404}
    paths = visit_all(watched)
    for look in ("dark", "phone"):
        page = watched.context(LOOKS[look]).new_page()
        for path in paths:
            open_page(page, path)
            examine(watched, page, path, look)
