"""A dead letter is replayed by clicking, and its file arrives. Somebody else, who has the same preview open, changes nothing."""

from watched import arguments, axe, browser, open_page, picture, settle

ENTRY = arguments["entry"]


def examine(watched, page, name):
    for text in axe(page):
        watched.check(False, f"{name}: {text}")
    picture(page, name)


def click(page, role, name):
    page.locator("main").get_by_role(role, name=name).click()
    settle(page)


def end_of_action(page):
    page.wait_for_url("**/actions/*")
    page.wait_for_selector("main [role=status], main [role=alert]")
    return page.inner_text("main")


with browser() as watched:
    page = watched.context().new_page()
    open_page(page, "/dead-letters")
    page.get_by_role("link", name=ENTRY, exact=True).click()
    settle(page)
    watched.check(arguments["trace_id"] in page.inner_text("main"), f"this is not {ENTRY}")
    click(page, "link", "Replay")
    preview = page.inner_text("main")
    watched.check("1 message would be sent" in preview, f"the preview: {preview}")
    examine(watched, page, "replay-preview")
    second = page.context.new_page()
    open_page(second, page.url)
    click(page, "button", "Replay")
    end = end_of_action(page)
    watched.check("1 replayed" in end, f"the action: {end}")
    examine(watched, page, "replay-action")
    # The preview of the second tab is out of date.
    click(second, "button", "Replay")
    end = end_of_action(second)
    watched.check("0 replayed, 1 refused" in end and "it was replayed already" in end, f"the second action: {end}")
    open_page(page, "/actions")
    examine(watched, page, "replay-actions")
    watched.check(page.locator("main tbody tr").count() == 2, "not both actions are listed")
    open_page(page, f"/dead-letters/{ENTRY}")
    watched.check(page.locator("main .button").count() == 0, "what is settled can be replayed again")
    for _ in range(60):
        open_page(page, f"/find?as=trace-id&id={arguments['trace_id']}")
        if page.locator("[data-state=completed]").count():
            break
        page.wait_for_timeout(500)
    else:
        watched.check(False, f"the file has not arrived: {page.inner_text('main')}")
    examine(watched, page, "replay-found")
