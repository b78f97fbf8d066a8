"""Two systems side by side, and a vote without names."""

import re

import pytest

expect = pytest.importorskip("playwright.sync_api").expect


@pytest.fixture
def compared(page):
    """The page after both have answered."""
    page.get_by_role("link", name="Compare two").click()
    page.get_by_label("Message to both").fill("How high is Mount Kilimanjaro?")
    page.keyboard.press("Enter")
    page.get_by_role("group", name="Your vote").wait_for()
    return page


def test_no_name_is_told_before_the_vote(compared):
    sides = compared.locator(".side-reply")
    expect(sides).to_have_count(2)
    expect(sides.get_by_role("heading")).to_have_text(["Left", "Right"])
    assert "pt" not in compared.locator(".round").inner_text().lower().split()


def test_a_vote_reveals_who_was_who(compared):
    with compared.expect_request(re.compile("/vote$")) as sent:
        compared.get_by_role("button", name="Left is better").click()
    assert sent.value.post_data_json == {"winner": "left"}
    headings = compared.locator(".side-reply h2")
    expect(headings.first).to_contain_text("your choice")
    expect(headings.filter(has_text="PT, the model alone")).to_have_count(1)
    expect(headings.filter(has_text="LaMDA, with judges and tools")).to_have_count(1)
    compared.get_by_role("button", name="Ask something else").click()
    expect(compared.get_by_label("Message to both")).to_be_focused()


def test_the_keys_1_to_4_vote(compared):
    for key, winner in enumerate(("left", "right", "tie", "both_bad"), 1):
        with compared.expect_request(re.compile("/vote$")) as sent:
            compared.keyboard.press(str(key))
        assert sent.value.post_data_json == {"winner": winner}
        if winner == "both_bad":
            return
        compared.get_by_role("button", name="Ask something else").click()
        compared.get_by_label("Message to both").fill("What is 135 + 7721?")
        compared.keyboard.press("Enter")
        compared.get_by_role("group", name="Your vote").wait_for()
