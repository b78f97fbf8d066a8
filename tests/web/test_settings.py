"""Roles, the theme, one's own data, and signing in with a key."""

import json
import re

import pytest

expect = pytest.importorskip("playwright.sync_api").expect


def test_a_role_greets(page, ask, scripted):
    page.get_by_role("button", name="Talk to LaMDA").click()
    page.get_by_role("radio", name="LaMDA").press("ArrowDown")
    expect(page.get_by_role("radio", name="Mount Everest")).to_be_checked()
    page.get_by_role("button", name="Talk", exact=True).click()
    expect(page.locator(".greets")).to_contain_text("Hello from 8,849 metres")
    ask(page, "hello")
    expect(page.locator(".message.greeting")).to_contain_text("Hello from 8,849 metres")
    expect(page.locator(".with")).to_have_text("Mount Everest")


def test_the_theme_is_kept(page):
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="Dark").check(force=True)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    assert dark != "rgb(251, 250, 247)"


def test_the_theme_of_the_system_is_followed(visit):
    page = visit(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 26, 24)"


def test_data_are_exported(page, ask):
    ask(page, "How high is Mount Kilimanjaro?")
    page.get_by_role("button", name="Settings").click()
    with page.expect_download() as loading:
        page.get_by_role("link", name="Export my data").click()
    assert "Kilimanjaro" in json.dumps(json.loads(loading.value.path().read_text()))


def test_data_are_deleted_after_a_question(page, ask):
    ask(page, "How high is Mount Kilimanjaro?")
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("button", name="Delete my data").click()
    expect(page.get_by_role("alertdialog")).to_contain_text("cannot be undone")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Delete my data").click()
    page.get_by_role("button", name="Delete everything").click()
    expect(page.get_by_role("heading", name="Ask, and see why")).to_be_visible()
    expect(page.locator(".conversations a")).to_have_count(0)


def test_a_server_that_wants_a_key_asks_for_it(visit, locked_url):
    page = visit(locked_url)
    page.get_by_label("API key").fill("olk_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This key is not known here.")
    page.get_by_label("API key").fill("olk_right")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Ask, and see why")).to_be_visible()
    assert "olk_" not in page.evaluate("JSON.stringify([localStorage, sessionStorage, location.href])")
    page.reload()
    expect(page.get_by_role("heading", name=re.compile("Ask"))).to_be_visible()
