"""The console without a mouse: the skip link, the order of the focus and its outline, and each form."""

from watched import arguments, browser, open_page, settle

# What the focus is on, and whether somebody can see that.
FOCUS = """() => {
    const it = document.activeElement, box = it.getBoundingClientRect(), style = getComputedStyle(it);
    return {
        text: it.outerHTML.slice(0, 120),
        number: [...document.querySelectorAll('*')].indexOf(it),
        outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
        shown: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    };
}"""

# What a keyboard must reach.
REACHABLE = """() => {
    const all = [...document.querySelectorAll('*')];
    const found = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
    return all.filter(it => it.matches(found) && it.checkVisibility() && !it.disabled)
        .map(it => [all.indexOf(it), it.outerHTML.slice(0, 120)]);
}"""

MOST_STEPS = 400


def walk(page, path):
    """Presses Tab through the whole page. Returns what is wrong."""
    # From the top, wherever the page has put the focus.
    page.evaluate("() => { document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex'); }")
    reachable = dict(page.evaluate(REACHABLE))
    order, wrong = [], []
    for _ in range(MOST_STEPS):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        # A date has parts, and the end of the page is the browser's own.
        if order and focus["number"] == order[-1]:
            continue
        if focus["number"] not in reachable or focus["number"] == min(reachable) and order:
            break
        order.append(focus["number"])
        if not focus["outlined"]:
            wrong.append(f"{path}: the focus has no outline: {focus['text']}")
        if not focus["shown"]:
            wrong.append(f"{path}: the focus is out of sight: {focus['text']}")
    if order != sorted(order):
        wrong.append(f"{path}: the focus jumps: {[reachable[number] for number in order]}")
    missed = [text for number, text in reachable.items() if number not in order]
    return wrong + [f"{path}: not reached: {text}" for text in missed]


def press_until(page, selector):
    """Presses Tab until the focus is on the element."""
    for _ in range(MOST_STEPS):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached")


def skip(watched, page):
    open_page(page, "/tables")
    page.keyboard.press("Tab")
    focus = page.evaluate(FOCUS)
    watched.check("Skip" in focus["text"] and focus["shown"], f"the first stop is no visible skip link: {focus}")
    page.keyboard.press("Enter")
    watched.check(page.evaluate("document.activeElement.id") == "content", "the skip link does not lead to the content")


def find(watched, page):
    open_page(page, "/find")
    # The first field has the focus.
    page.keyboard.type(arguments["found"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/find?id=*")
    settle(page)
    text = page.inner_text("main")
    watched.check(f"Event {arguments['found']}" in text, f"Enter did not find: {text}")
    press_until(page, "summary")
    page.keyboard.press("Enter")
    watched.check(page.evaluate("document.activeElement.parentElement.open"), "Enter does not open what is folded")


def filter_letters(watched, page):
    open_page(page, "/dead-letters")
    before = page.locator("main td a").count()
    press_until(page, "select[name=stage]")
    page.keyboard.type("download")
    press_until(page, "form.filter button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/dead-letters?*stage=download*")
    settle(page)
    after = page.locator("main td a").count()
    watched.check(0 < after < before, f"the filter shows {after} links of {before}")


with browser() as watched:
    page = watched.context().new_page()
    open_page(page, "/")
    for path in page.eval_on_selector_all("nav a", "links => links.map(link => link.getAttribute('href'))"):
        # A page that updates itself may have replaced what has the focus: then once more.
        for _ in range(3):
            open_page(page, path)
            wrong = walk(page, path)
            if not wrong:
                break
        for text in wrong:
            watched.check(False, text)
    skip(watched, page)
    find(watched, page)
    filter_letters(watched, page)
