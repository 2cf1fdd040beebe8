"""The broker goes away while the overview is open, and comes back: the open page says so, and goes on."""

from watched import BROKER_TIMEOUT_MS, ask, axe, browser, open_page, picture

with browser() as watched:
    page = watched.context().new_page()
    open_page(page, "/")
    page.wait_for_selector("main table")
    ask("stop the broker")
    page.wait_for_selector("main [role=alert]", timeout=BROKER_TIMEOUT_MS)
    for text in axe(page):
        watched.check(False, f"without a broker: {text}")
    picture(page, "overview-without-a-broker")
    # The other pages say what to do.
    watched.expected = {502}
    other = page.context.new_page()
    watched.check(open_page(other, "/dead-letters") == 502, "the dead letters do not need the broker")
    for text in axe(other):
        watched.check(False, f"an error: {text}")
    other.close()
    ask("start the broker")
    page.wait_for_function(
        "() => document.querySelector('main table') && !document.querySelector('main [role=alert]')",
        timeout=BROKER_TIMEOUT_MS,
    )
