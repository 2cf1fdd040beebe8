"""Two tabs of one person: each goes on by itself."""

from watched import arguments, browser, open_page, settle

# Every text on the overview that is a time of day.
TIMES = r"() => document.querySelector('main').innerText.match(/\d\d:\d\d:\d\d/g)?.join()"


def wait_for_news(*pages):
    """Waits until each page has shown something newer by itself."""
    for page, before in [(page, page.evaluate(TIMES)) for page in pages]:
        page.wait_for_function(f"before => ({TIMES})() !== before", arg=before)


with browser() as watched:
    context = watched.context()
    first, second = context.new_page(), context.new_page()
    open_page(first, "/")
    open_page(second, "/")
    wait_for_news(first, second)
    # One goes elsewhere; the other does not notice.
    open_page(second, f"/find?id={arguments['found']}")
    wait_for_news(first)
    watched.check("Event " in second.inner_text("main"), "the second tab has lost its page")
    # Back, which is a new page, and not an old one from a cache.
    second.go_back()
    settle(second)
    first.close()
    wait_for_news(second)
