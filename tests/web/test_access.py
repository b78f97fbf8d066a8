"""For everybody: keyboard alone, a phone's width, and what axe finds."""

import re
from pathlib import Path

import pytest

expect = pytest.importorskip("playwright.sync_api").expect
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def scrolls_sideways(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


def test_by_keyboard_alone(page):
    page.get_by_role("link", name="openlamda").focus()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("link", name="Skip to the message box")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("How high is")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("Mount Kilimanjaro?")
    page.keyboard.press("Enter")
    expect(page.locator(".message.agent[data-reply]")).to_have_count(1)
    expect(page.locator(".bubble")).to_have_text("How high is\nMount Kilimanjaro?")
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.textContent") == "Why this reply?":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name="Why this reply")).to_be_visible()
    page.locator("tbody tr").first.wait_for()
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.get_by_role("tab", name=re.compile("After research"))).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name=re.compile("Drafts"))).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Why this reply?")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()


def test_arrows_move_among_conversations(page, ask):
    for text in ("one", "two", "three"):
        ask(page, text)
        page.get_by_role("link", name="New conversation").click()
        page.get_by_role("heading", name="Ask, and see why").wait_for()
    links = page.locator(".conversations a")
    expect(links).to_have_count(3)
    links.first.focus()
    page.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator(".bubble")).to_have_text("one")


def test_focus_is_always_seen(page):
    for _ in range(12):
        page.keyboard.press("Tab")
        shown = page.evaluate(
            """() => {
              const of = (node) => getComputedStyle(node);
              const node = document.activeElement;
              const box = node.closest(".box");
              if (node === document.body) return true;
              return of(node).outlineStyle !== "none" || (box && of(box).boxShadow !== "none");
            }"""
        )
        assert shown


def test_a_phone_shows_everything_in_its_width(visit, ask, scripted):
    page = visit(**PHONE)
    page.get_by_role("heading", name="Ask, and see why").wait_for()
    assert not scrolls_sideways(page)
    ask(page, "How high is Mount Kilimanjaro?")
    ask(page, "a longwordwithoutanyspace" * 20)
    ask(page, "markdown")
    assert not scrolls_sideways(page)
    page.get_by_role("button", name="Why this reply?").first.click()
    sheet = page.locator("dialog.sheet[open]")
    expect(sheet.locator("tbody tr").first).to_be_visible()
    assert sheet.evaluate("(node) => node.querySelector('.body').scrollWidth <= node.clientWidth")
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    page.get_by_role("button", name="Conversations").click()
    expect(page.locator(".conversations a").first).to_be_visible()
    page.get_by_role("link", name="Compare two").click()
    expect(page.locator("dialog.sheet[open]")).to_have_count(0)
    page.get_by_label("Message to both").fill("hello")
    page.keyboard.press("Enter")
    page.get_by_role("group", name="Your vote").wait_for()
    assert not scrolls_sideways(page)


def test_the_focus_stays_where_it_is_while_a_reply_comes(page, ask):
    ask(page, "hello")
    page.get_by_label("Message", exact=True).fill("and again")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Bad reply").first.focus()
    expect(page.locator(".message.agent[data-reply]")).to_have_count(2)
    expect(page.get_by_role("button", name="Bad reply").first).to_be_focused()


def test_every_paragraph_has_its_own_direction(page, ask, scripted):
    reply = ask(page, "مرحبا hello\nhello مرحبا 👩‍🚀")
    for found in (page.locator(".bubble"), reply.locator(".text p")):
        assert found.evaluate("(node) => getComputedStyle(node).unicodeBidi") == "plaintext"


def test_panels_follow_the_window(page, ask):
    ask(page, "hello").get_by_role("button", name="Why this reply?").click()
    aside = page.get_by_role("complementary", name="Why this reply")
    aside.locator("tbody tr").first.wait_for()
    page.set_viewport_size({"width": 500, "height": 800})
    expect(page.locator("dialog.sheet[open] aside")).to_be_visible()
    page.set_viewport_size({"width": 1300, "height": 800})
    expect(page.locator(".beside aside")).to_be_visible()
    expect(page.locator("dialog.sheet[open]")).to_have_count(0)


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, from a package of the dev extra."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return (Path(package.__path__[0]) / "axe.min.js").read_text()


def faults(page, axe: str, rules: list[str] | None = None) -> list[str]:
    """The serious and critical faults that axe finds now, by these rules or all."""
    page.evaluate(axe)
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = page.evaluate("async (options) => (await axe.run(document, options)).violations", options)
    return [
        f"{fault['id']}: {fault['help']}: {[node['html'][:160] for node in fault['nodes'][:4]]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("light", 360), ("dark", 1440)])
def test_axe_finds_nothing_serious(visit, ask, axe, scheme, width, scripted):
    rules = ["color-contrast"] if scheme == "dark" else None  # the rest is the same in the dark
    page = visit(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    page.get_by_role("heading", name="Ask, and see why").wait_for()
    found = {"welcome": faults(page, axe, rules)}
    ask(page, "How high is Mount Kilimanjaro?")
    ask(page, "markdown")
    reply = ask(page, "something unsure")
    reply.get_by_role("button", name="Bad reply").click()
    page.get_by_label("Note").wait_for()
    found["chat"] = faults(page, axe, rules)
    page.get_by_role("button", name="Why this reply?").first.click()
    page.locator("tbody tr").first.wait_for()
    found["inspector"] = faults(page, axe, rules)
    page.keyboard.press("Escape")
    if width < 800:
        page.get_by_role("button", name="Conversations").click()
        found["drawer"] = faults(page, axe, rules)
    page.get_by_role("button", name="Settings").click()
    found["settings"] = faults(page, axe, rules)
    page.keyboard.press("Escape")
    page.evaluate("location.hash = '#/arena'")
    page.get_by_label("Message to both").fill("hello")
    page.keyboard.press("Enter")
    page.get_by_role("group", name="Your vote").wait_for()
    found["arena"] = faults(page, axe, rules)
    assert {where: what for where, what in found.items() if what} == {}
