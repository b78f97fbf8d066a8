"""A conversation on the page: the first visit, replies with sources, branches, what goes wrong, reload."""

import re

import pytest

expect = pytest.importorskip("playwright.sync_api").expect
KILIMANJARO = "How high is Mount Kilimanjaro?"


def test_the_first_visit_says_what_this_is_and_offers_what_works(page):
    expect(page.locator(".lead")).to_contain_text("This is a machine")
    expect(page.locator(".composer .fine")).to_contain_text("machine")
    examples = page.locator(".examples button")
    expect(examples).to_have_count(3)
    examples.first.click()
    expect(page.locator(".message.agent .text")).to_contain_text("5,895 metres")
    expect(page).to_have_title(re.compile("Kilimanjaro"))


def test_a_reply_has_its_sources_as_footnotes_with_a_preview(page, ask):
    reply = ask(page, KILIMANJARO)
    footnote = reply.locator(".footnotes li")
    expect(footnote).to_have_count(1)
    link = footnote.get_by_role("link", name="Mount Kilimanjaro")
    expect(link).to_have_attribute("href", "https://en.wikipedia.org/wiki/Mount_Kilimanjaro")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    reply.get_by_role("button", name="Source 1: Mount Kilimanjaro").hover()
    preview = page.get_by_role("tooltip")
    expect(preview).to_contain_text("Mount Kilimanjaro / height / 5,895 metres")
    expect(preview).to_contain_text("en.wikipedia.org")
    expect(preview).to_contain_text("has what is said")
    page.keyboard.press("Escape")
    expect(preview).to_have_count(0)
    reply.get_by_role("button", name="Source 1").focus()
    expect(preview).to_be_visible()
    page.keyboard.press("Enter")
    expect(link).to_be_focused()


def test_a_preview_opens_by_touch(visit, ask):
    page = visit(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    ask(page, KILIMANJARO).get_by_role("button", name="Source 1").tap()
    expect(page.get_by_role("tooltip")).to_contain_text("5,895")


def test_unverified_statements_are_marked(page, ask, scripted):
    reply = ask(page, "something unsure")
    reply.get_by_text("1 statement unverified").click()
    expect(reply.locator("details")).to_contain_text("no source for 1889")


def test_a_reload_keeps_the_conversation(page, ask):
    ask(page, KILIMANJARO)
    ask(page, "What is 135 + 7721?")
    texts = page.locator(".message .text, .message .bubble").all_inner_texts()
    page.reload()
    expect(page.locator(".message.agent[data-reply]")).to_have_count(2)
    assert page.locator(".message .text, .message .bubble").all_inner_texts() == texts
    page.get_by_role("link", name="New conversation").first.click()
    expect(page.get_by_role("heading", name="Ask, and see why")).to_be_visible()
    page.locator(".conversations a").first.click()
    expect(page.locator(".message.agent[data-reply]")).to_have_count(2)


def test_what_was_not_sent_is_kept_over_a_reload(page):
    page.get_by_label("Message", exact=True).fill("half a thou")
    page.reload()
    expect(page.get_by_label("Message", exact=True)).to_have_value("half a thou")


def test_an_edit_makes_a_branch(page, ask):
    ask(page, "hello there")
    page.locator(".message.user").hover()
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Edit your message").fill("hello again")
    page.keyboard.press("Enter")
    pager = page.get_by_role("group", name="Version 2 of 2")
    expect(pager).to_be_visible()
    expect(page.locator(".bubble")).to_have_text("hello again")
    pager.get_by_role("button", name="Previous version").click()
    expect(page.locator(".bubble")).to_have_text("hello there")
    page.reload()
    expect(page.locator(".bubble")).to_have_text("hello again")


def test_another_reply_is_a_version_of_the_reply(page, ask):
    reply = ask(page, KILIMANJARO)
    reply.get_by_role("button", name="Another reply").click()
    expect(page.get_by_role("group", name="Reply 2 of 2")).to_be_visible()
    expect(page.locator(".bubble")).to_have_count(1)
    page.get_by_role("button", name="Previous reply").click()
    expect(page.get_by_role("group", name="Reply 1 of 2")).to_be_visible()


def test_an_edit_while_a_reply_is_on_its_way_is_not_lost(page, ask, scripted):
    ask(page, "hello")
    page.get_by_label("Message", exact=True).fill("a slow one")
    page.keyboard.press("Enter")
    page.locator(".message.user").first.hover()
    page.get_by_role("button", name="Edit").first.click()
    page.get_by_label("Edit your message").fill("hello again")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("Wait for the reply")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".notice")).to_contain_text("Stopped.")
    expect(page.get_by_label("Edit your message")).to_have_value("hello again")


def test_two_presses_begin_one_conversation(page):
    page.locator(".examples button").first.evaluate("(button) => { button.click(); button.click(); }")
    expect(page.locator(".message.agent[data-reply]")).to_have_count(1)
    expect(page.locator(".conversations a")).to_have_count(1)


def test_a_stream_that_breaks_off_is_asked_for_again_and_kept_once(page, scripted):
    page.get_by_label("Message", exact=True).fill("broken?")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("No connection")
    page.get_by_role("button", name="Try again", exact=True).click()
    expect(page.locator(".message.agent .text")).to_contain_text("You said: broken?")
    page.reload()
    expect(page.locator(".message")).to_have_count(2)


def test_stages_are_shown_and_a_reply_can_be_stopped(page, scripted):
    page.get_by_label("Message", exact=True).fill("a slow one")
    page.keyboard.press("Enter")
    expect(page.locator(".stage")).to_have_text("16 drafts")
    expect(page.locator("#announcer")).to_have_text("16 drafts")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".notice")).to_contain_text("Stopped.")
    page.get_by_role("button", name="Edit").last.click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("a slow one")


def test_a_reload_while_a_reply_is_on_its_way_loses_no_words(page, scripted):
    page.get_by_label("Message", exact=True).fill("a slow one")
    page.keyboard.press("Enter")
    expect(page.locator(".stage")).to_have_text("16 drafts")
    page.reload()
    expect(page.get_by_label("Message", exact=True)).to_have_value("a slow one")


def test_a_busy_server_counts_down_and_then_answers(page, scripted):
    page.get_by_label("Message", exact=True).fill("busy?")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("Many people are asking")
    expect(page.get_by_role("button", name=re.compile("Try again in 1 s"))).to_be_disabled()
    page.get_by_role("button", name="Try again", exact=True).click()
    expect(page.locator(".message.agent .text")).to_contain_text("You said: busy?")


def test_an_error_within_the_stream_can_be_tried_again(page, scripted):
    page.get_by_label("Message", exact=True).fill("unavailable?")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("The server cannot answer just now")
    page.get_by_role("button", name="Try again", exact=True).click()
    expect(page.locator(".message.agent .text")).to_contain_text("You said: unavailable?")
    expect(page.locator(".bubble")).to_have_count(1)


def test_offline_keeps_what_was_written(page, ask):
    ask(page, "hello")
    page.context.set_offline(True)
    page.get_by_label("Message", exact=True).fill("are you there?")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("You are offline")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".message.agent[data-reply]")).to_have_count(2)


def test_a_conversation_that_is_gone_says_so(visit, base_url):
    page = visit(f"{base_url}#/c/conv_unknown")
    expect(page.locator(".notice")).to_contain_text("not there any more")


def test_conversations_are_renamed_and_deleted(page, ask):
    ask(page, KILIMANJARO)
    page.locator(".conversations li").hover()
    page.get_by_role("button", name=re.compile("^Rename")).click()
    page.get_by_label("Title").fill("A mountain")
    page.keyboard.press("Enter")
    expect(page.locator(".conversations a")).to_have_text("A mountain")
    page.locator(".conversations li").hover()
    page.get_by_role("button", name=re.compile("^Delete")).click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".conversations a")).to_have_count(0)
    expect(page.get_by_role("heading", name="Ask, and see why")).to_be_visible()


def test_thumbs_and_reasons_are_kept(page, ask):
    reply = ask(page, KILIMANJARO)
    reply.get_by_role("button", name="Bad reply").click()
    form = page.get_by_role("group", name="What was wrong?").first
    expect(form.get_by_label("Misinformation")).to_be_visible()
    labels = form.locator("label").all_inner_texts()
    assert sorted(labels) == ["Harmful content", "Incomprehensible", "Misinformation", "Other", "Unfair bias"]
    form.get_by_label("Misinformation").check()
    form.get_by_label("Note").fill("it is lower")
    with page.expect_request(re.compile("feedback")) as sent:
        form.get_by_role("button", name="Send").click()
    assert sent.value.post_data_json == {"thumb": "down", "reasons": ["misinformation"], "note": "it is lower"}
    page.reload()
    expect(page.get_by_role("button", name="Bad reply")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Bad reply").click()
    expect(page.get_by_role("button", name="Bad reply")).to_have_attribute("aria-pressed", "false")
