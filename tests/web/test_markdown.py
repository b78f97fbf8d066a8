"""What others wrote is shown: Markdown as elements, everything else as text, never as markup."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

expect = pytest.importorskip("playwright.sync_api").expect

RENDER = """async (texts) => {
  const { markdown } = await import("/static/js/markdown.js");
  return texts.map((text) => {
    const root = document.createElement("div");
    const mark = () => Object.assign(document.createElement("i"), { textContent: "<1>" });
    root.append(...markdown(text, (k) => k === 1 ? mark() : null));
    return root.innerHTML;
  });
}"""
INSPECT = """async (texts) => {
  const { markdown } = await import("/static/js/markdown.js");
  const began = performance.now();
  const found = new Set();
  for (const text of texts) {
    const root = document.createElement("div");
    root.append(...markdown(text));
    for (const node of root.querySelectorAll("*")) {
      found.add(node.tagName.toLowerCase());
      for (const { name, value } of node.attributes) found.add(name === "href" ? "href " + value.split(":")[0] : name);
    }
  }
  return [[...found], performance.now() - began];
}"""


KNOWN = {
    *("p h3 h4 h5 h6 ul ol li blockquote pre code strong em del a span br hr".split()),
    *("href http,href https,target,rel,tabindex,role,aria-label,start".split(",")),
}


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain", "<p>plain</p>"),
        ("a\nb\n\nc", "<p>a<br>b</p><p>c</p>"),
        (
            "**a** *b* __c__ _d_ ~~e~~",
            "<p><strong>a</strong> <em>b</em> <strong>c</strong> <em>d</em> <del>e</del></p>",
        ),
        ("**a *b* c**", "<p><strong>a <em>b</em> c</strong></p>"),
        ("2 * 3 * 4 and snake_case_name", "<p>2 * 3 * 4 and snake_case_name</p>"),
        (r"\*a\* `b *c*`", "<p>*a* <code>b *c*</code></p>"),
        ("# T\n## U", "<h3>T</h3><h4>U</h4>"),
        ("- a\n- b\n  - c", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>"),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"),
        ("a [1] b [2]", "<p>a <i>&lt;1&gt;</i> b [2]</p>"),
        ("<b>x</b> &amp; ![i](https://e.org/i)", None),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("[x](https://u:p@e.org)", None),
        ("it's 5 < 6", "<p>it's 5 &lt; 6</p>"),
    ],
)
def test_markdown(blank, text, html):
    (found,) = blank.evaluate(RENDER, [text])
    if html is None:
        assert "<b>" not in found and "<img" not in found and "u:p" not in found.partition("href=")[2]
    else:
        assert found == html


def test_code_is_kept_as_it_is(blank):
    (found,) = blank.evaluate(RENDER, ["```py\nif a < b:\n    **x**\n```"])
    assert "<code>if a &lt; b:\n    **x**</code>" in found


def test_links_are_web_pages_and_leave_nothing_behind(blank):
    (found,) = blank.evaluate(RENDER, ["[a](https://e.org/x) http://e.org/y_z."])
    assert found.count('rel="noopener noreferrer"') == 2 and 'href="http://e.org/y_z"' in found


SIGNS = st.text(st.sampled_from("*_`~[]()<>!#->1. \n\\/:ahtps&\"'"), max_size=60)


@settings(max_examples=8, deadline=None)
@given(st.lists(SIGNS | st.text(max_size=40), min_size=100, max_size=100))
def test_only_known_elements_are_made(blank, texts):
    found, _ = blank.evaluate(INSPECT, texts)
    assert set(found) <= KNOWN


@pytest.mark.parametrize(
    "sign", ["*", "**a ", "[", "[a](", "`", "``` ", "> ", "- ", "_a", "~~", "\\", "http://", "[1]", "\n", "a*b_c`d["]
)
def test_time_grows_with_the_text_whoever_wrote_it(blank, sign):
    _, milliseconds = blank.evaluate(INSPECT, [sign * (40_000 // len(sign))])
    assert milliseconds < 4_000


def test_names_cannot_turn_the_direction_of_writing(page, ask, scripted):
    reply = ask(page, "turned \u202earound")
    expect(reply.locator(".footnotes a")).to_have_text("Wikipedia gro.live")
    expect(reply.get_by_role("link", name="https://example.org/", exact=True)).to_have_count(1)
    expect(page.locator(".conversations a")).to_have_text("turned around")
    expect(page).to_have_title("turned around · openlamda")


def test_script_in_messages_and_sources_is_text(page, ask, scripted):
    said = "<script>document.title='taken'</script> hostile"
    reply = ask(page, said)
    expect(page.locator(".bubble")).to_have_text(said)
    expect(reply.locator(".text")).to_contain_text("<script>document.title = 'taken'</script>")
    expect(reply.locator(".text")).to_contain_text("[a](javascript:alert(1))")
    expect(reply.locator(".footnotes")).to_contain_text("<img src=x onerror")
    assert reply.locator(".footnotes a, img, script").count() == 0
    reply.get_by_role("button", name="Source 1").focus()
    expect(page.get_by_role("tooltip")).to_contain_text("<script>")
    page.reload()
    expect(page.locator(".conversations a")).to_contain_text("<script>")
    assert "taken" not in page.title().partition("<script>")[0]
    assert page.locator("img:not([src='/static/icon.svg'])").count() == 0
