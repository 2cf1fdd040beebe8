"""Sign-in with a token, roles, sessions that end, and a second tab."""

import hashlib
import hmac
import time

from watched import arguments, axe, browser, open_page, origin, picture, settle

COOKIE = "xact_console"
WANTED = f"/find?id={arguments['found']}"


def sign_in(page, token):
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    settle(page)


def is_sign_in(page):
    return page.title().startswith("Sign in")


def session(name, token, expires):
    """Returns the cookie of a session, as the console would make it."""
    signed = f"{name}.{expires}"
    return f"{signed}.{hmac.new(token.encode(), signed.encode(), hashlib.sha256).hexdigest()}"


def first_visit(watched, page, token):
    watched.check(open_page(page, WANTED) == 401 and is_sign_in(page), f"a page for nobody: {page.title()}")
    for text in axe(page):
        watched.check(False, f"sign-in: {text}")
    picture(page, "sign-in")
    sign_in(page, "a-token-that-nobody-has")
    watched.check("not known" in page.inner_text("main [role=alert]"), "a wrong token is not refused")
    for text in axe(page):
        watched.check(False, f"sign-in, refused: {text}")
    sign_in(page, token)
    watched.check(page.url == f"{origin}{WANTED}", f"the sign-in leads to {page.url}")
    watched.check("Event " in page.inner_text("main"), "the page that was wanted is not shown")
    (cookie,) = [cookie for cookie in page.context.cookies() if cookie["name"] == COOKIE]
    watched.check(cookie["httpOnly"] and cookie["sameSite"] == "Lax", f"{cookie}")


def view_only(watched, page):
    """Nobody who may only view sees a button that changes something."""
    open_page(page, "/")
    paths = page.eval_on_selector_all("nav a", "links => links.map(link => link.getAttribute('href'))")
    open_page(page, "/dead-letters")
    paths += page.eval_on_selector_all("main td a", "links => links.slice(0, 1).map(link => link.getAttribute('href'))")
    for path in paths:
        status = open_page(page, path)
        watched.check(status == 200, f"{path}: {status}")
        changes = page.eval_on_selector_all("main form[method=post], main .button", "all => all.map(it => it.outerHTML)")
        watched.check(not changes, f"{path}: somebody who may only view sees {changes}")


def sign_out(watched, page):
    second = page.context.new_page()
    open_page(second, "/dead-letters")
    page.get_by_role("button", name="Sign out").click()
    settle(page)
    watched.check(is_sign_in(page), "signed out, and still a page")
    second.get_by_role("link", name="Tables").click()
    settle(second)
    watched.check(is_sign_in(second), "the second tab is still signed in")
    # Neither does the way back show anything.
    page.go_back()
    settle(page)
    watched.check(is_sign_in(page), "back shows a page after the sign-out")


def sessions(watched, name, token):
    """A session that has ended or is garbled leads to the sign-in, and from there back."""
    now = int(time.time())
    for value, is_valid in [
        (session(name, token, now + 60), True),
        (session(name, token, now - 1), False),
        (session(name, f"not-{token}", now + 60), False),
        (session("nobody", token, now + 60), False),
        ("garbled", False),
        ("%00..%ff", False),
    ]:
        context = watched.context()
        context.add_cookies([{"name": COOKIE, "value": value, "url": origin}])
        page = context.new_page()
        status = open_page(page, WANTED)
        watched.check(status == (200 if is_valid else 401), f"{value}: {status}")
        if not is_valid:
            sign_in(page, token)
            watched.check(page.url == f"{origin}{WANTED}", f"{value}: the sign-in leads to {page.url}")
        context.close()


with browser() as watched:
    watched.expected = {401}
    name, token = arguments["view"]
    page = watched.context().new_page()
    first_visit(watched, page, token)
    view_only(watched, page)
    sign_out(watched, page)
    sessions(watched, name, token)
