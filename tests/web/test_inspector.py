"""Why a reply was given: the candidates, sorted and ranked again; research; time."""

import re

import pytest

expect = pytest.importorskip("playwright.sync_api").expect


@pytest.fixture
def inspector(page, ask):
    """The inspector of a reply that looked something up."""
    ask(page, "How high is Mount Kilimanjaro?").get_by_role("button", name="Why this reply?").click()
    found = page.get_by_role("complementary", name="Why this reply")
    found.locator("tbody tr").first.wait_for()
    return found


def test_sixteen_candidates_of_both_rounds_are_shown(inspector):
    expect(inspector.locator("caption")).to_contain_text("16 candidates")
    expect(inspector.locator("tr.chosen")).to_have_count(1)
    expect(inspector.locator("th")).to_have_count(7)
    inspector.get_by_role("tab", name=re.compile("Drafts")).click()
    expect(inspector.locator("caption")).to_contain_text("16 candidates")
    expect(inspector.locator("th")).to_have_count(6)  # nothing is grounded before it is looked up


def test_the_dropped_say_why_and_unsafe_text_is_covered(inspector, scripted):
    expect(inspector.locator(".badge.dropped").filter(has_text="not in the source: 5,985")).to_have_count(1)
    unsafe = inspector.locator("tr.dropped").filter(has_text="unsafe")
    expect(unsafe).to_have_count(2)
    expect(inspector.locator("table")).not_to_contain_text("Look it up yourself.")
    unsafe.first.get_by_role("button", name="Dropped text: show").click()
    expect(inspector.locator("table")).to_contain_text("Look it up yourself.")


def test_columns_sort_both_ways(inspector):
    safe = inspector.get_by_role("button", name="Safe", exact=True)
    for direction, order in (("descending", True), ("ascending", False)):
        safe.click()
        expect(inspector.locator("th.figure[aria-sort]")).to_have_attribute("aria-sort", direction)
        values = [float(text) for text in inspector.locator("td.safe").all_inner_texts()]
        assert values == sorted(values, reverse=order)


def test_the_slider_ranks_again_at_once_without_asking_the_server(page, inspector, scripted):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    outcome = inspector.get_by_role("status")
    expect(outcome).to_have_text("4 of 16 dropped. The same reply is chosen.")
    slider = inspector.get_by_label("Safe at least")
    slider.fill("0.7")
    expect(outcome).to_contain_text("5 of 16 dropped")
    slider.fill("1")
    expect(outcome).to_contain_text("Nothing would be left")
    expect(inspector.locator("tr.chosen")).to_have_count(0)
    slider.fill("0.1")
    expect(outcome).to_contain_text("2 of 16 dropped. The same reply")
    expect(inspector.get_by_text("claims not checked")).to_have_count(2)
    inspector.get_by_role("button", name="As it was").click()
    expect(outcome).to_have_text("4 of 16 dropped. The same reply is chosen.")
    assert asked == []


def test_weights_choose_another_reply(inspector, scripted):
    inspector.get_by_label("interesting").fill("9")
    expect(inspector.get_by_role("status")).to_contain_text("Would have been chosen: High enough for snow")
    expect(inspector.locator("tr.chosen")).to_contain_text("High enough for snow")
    expect(inspector.get_by_text("was chosen", exact=True)).to_be_visible()


def test_research_and_time_are_shown(inspector):
    steps = inspector.locator(".timeline li")
    expect(steps.first).to_contain_text("Kilimanjaro")
    expect(steps.first).to_contain_text("search: 5 results")
    expect(inspector.locator(".durations div")).to_have_count(6)
    expect(inspector.locator(".claims")).to_contain_text("supported")


def test_escape_closes_it_and_the_focus_goes_back(page, inspector):
    page.keyboard.press("Escape")
    expect(inspector).to_be_hidden()
    expect(page.get_by_role("button", name="Why this reply?")).to_be_focused()


def altered(page, ask, change) -> None:
    """Opens the inspector over a trace that `change` has altered."""

    def answer(route) -> None:
        trace = route.fetch().json()
        for drawn in trace["rounds"].values():
            for candidate in drawn:
                change(candidate)
        route.fulfill(json=trace)

    page.route(re.compile("/trace$"), answer)
    ask(page, "How high is Mount Kilimanjaro?").get_by_role("button", name="Why this reply?").click()
    page.locator("tbody tr").first.wait_for()


def test_a_server_may_keep_the_texts_of_candidates(page, ask, scripted):
    altered(page, ask, lambda candidate: candidate["chosen"] or candidate.update(text=""))
    expect(page.locator(".outcome")).to_have_text("4 of 16 dropped. The same reply is chosen.")
    expect(page.locator("table")).to_contain_text("(not shown on this server)")
    page.get_by_label("interesting").fill("9")
    expect(page.locator(".outcome")).to_contain_text("Would have been chosen: another one.")


def test_a_model_without_judges_shows_likelihoods(page, ask):
    altered(page, ask, lambda candidate: candidate.update(scores={}))
    expect(page.locator("th")).to_have_text(["Reply", "Log P"])
    expect(page.get_by_role("tabpanel")).to_contain_text("This model has no judges")
    expect(page.locator(".threshold")).to_have_count(0)
    expect(page.locator("tr.chosen")).to_have_count(1)
