"""The page's calls: sessions, conversations as trees, replies in pieces, feedback, the blind arena, one's own data."""

import pytest
from starlette.testclient import TestClient

from openlamda.engine.base import Overloaded
from tests.serve import conftest
from tests.serve.conftest import events

HOW = "how long is the river"


def begin(page, role="lamda"):
    response = page.post("/api/conversations", json={"role": role})
    assert response.status_code == 201
    return response.json()


def say(page, conversation, text=HOW, parent=None, request_id="r1", **more):
    asked = {"text": text, "parent_id": parent, "request_id": request_id, "seed": 3} | more
    return page.post(f"/api/conversations/{conversation['id']}/replies", json=asked)


def done(response):
    assert response.status_code == 200, response.text
    name, data = events(response)[-1]
    assert name == "done", data
    return data


def test_without_a_session_there_is_nothing(client):
    for path in ("/api/me", "/api/roles", "/api/conversations", "/api/me/export", "/api/replies/x/trace"):
        response = client.get(path)
        assert response.status_code == 401 and response.json()["error"]["code"] == "no_session"


def test_another_site_cannot_change_anything(page):
    for header in ({"X-Openlamda": "0"}, {"X-Openlamda": ""}):
        assert page.post("/api/conversations", json={}, headers=header).status_code == 403
        assert page.post("/api/session", json={}, headers=header).status_code == 403
    text = {"Content-Type": "text/plain"}
    assert page.post("/api/conversations", content="{}", headers=text).status_code == 415


def test_the_cookie_is_for_this_site_and_no_script(client):
    response = client.post("/api/session", json={}, headers={"X-Openlamda": "1"})
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "secure" not in cookie.replace("samesite", "")


def test_a_second_tab_is_the_same_visitor(page):
    before = page.get("/api/me").json()["user_id"]
    assert page.post("/api/session", json={}).status_code == 204
    assert page.get("/api/me").json()["user_id"] == before


def test_who_and_what_is_here(page):
    me = page.get("/api/me").json()
    assert me["user_id"].startswith("user_") and me["require_key"] is False
    assert me["disclosure"].startswith("I am a machine") and "openlamda/lamda" in me["models"]
    roles = page.get("/api/roles").json()
    assert roles[0]["id"] == "lamda"
    everest = next(role for role in roles if role["id"] == "mount-everest")
    assert everest["greeting"] and everest["description"] and everest["name"] == "Mount Everest"


def test_a_reply_in_pieces_and_what_is_kept_of_it(page):
    conversation = begin(page)
    response = say(page, conversation)
    names = [name for name, _ in events(response)]
    assert names[:2] == ["stage", "stage"] and names[-2:] == ["text", "done"]
    assert "unsafe." not in response.text
    said = done(response)
    reply = said["reply"]
    assert "".join(data["delta"] for name, data in events(response) if name == "text") == reply["text"]
    assert reply["html"] is None and reply["verified"] is True and reply["claims"][0]["verdict"] == "supported"
    (source,) = reply["sources"]
    assert set(source) == {"k", "title", "url", "quote", "verdict", "fetched"} and source["verdict"] == "supported"
    whole = page.get(f"/api/conversations/{conversation['id']}").json()
    assert [message["author"] for message in whole["messages"]] == ["user", "agent"]
    user, agent = whole["messages"]
    assert user["id"] == said["user_message_id"] == agent["parent_id"] and user["parent_id"] is None
    assert agent["reply_id"] == reply["id"] and agent["sources"] == reply["sources"]
    assert agent["claims"] == reply["claims"] and "claims" not in user
    trace = page.get(f"/api/replies/{reply['id']}/trace").json()
    assert trace["weights"] == {"sensible": 3, "specific": 1, "interesting": 1}
    assert trace["thresholds"] == {"safe": 0.5} and trace["role"] == "lamda" and trace["text"] == reply["text"]
    assert len(trace["candidates"]) == 16


def test_the_same_request_again_is_the_same_reply(page):
    conversation = begin(page)
    first, again = done(say(page, conversation)), done(say(page, conversation, seed=99))
    assert first == again
    assert len(page.get(f"/api/conversations/{conversation['id']}").json()["messages"]) == 2


def test_edit_and_resend_makes_a_sibling(page):
    conversation = begin(page)
    first = done(say(page, conversation))
    follow = done(say(page, conversation, "and wide?", first["reply"]["message_id"], "r2"))
    edited = done(say(page, conversation, "how deep", None, "r3"))
    messages = page.get(f"/api/conversations/{conversation['id']}").json()["messages"]
    parents = {message["id"]: message["parent_id"] for message in messages}
    assert parents[follow["user_message_id"]] == first["reply"]["message_id"]
    assert parents[edited["user_message_id"]] is None and len(messages) == 6
    assert say(page, conversation, "x", "msg_nowhere", "r4").status_code == 404


def test_titles_lists_and_deletion(page):
    conversation = begin(page, "mount-everest")
    assert conversation["greeting"].startswith("Hello, I am Mount Everest") and conversation["messages"] == []
    done(say(page, conversation))
    listed = page.get("/api/conversations").json()
    assert [c["title"] for c in listed["conversations"]] == [HOW] and listed["next"] is None
    path = f"/api/conversations/{conversation['id']}"
    assert page.patch(path, json={"title": "River"}).json()["title"] == "River"
    assert page.patch(path, json={"title": ""}).status_code == 400
    assert page.request("DELETE", path, json={}).status_code == 204
    assert page.request("DELETE", path, json={}).status_code == page.get(path).status_code == 404
    assert page.post("/api/conversations", json={"role": "nobody"}).status_code == 404


def test_feedback_is_the_last_that_was_given(page):
    conversation = begin(page)
    path = f"/api/replies/{done(say(page, conversation))['reply']['id']}/feedback"
    assert page.put(path, json={"thumb": "up"}).status_code == 200
    given = page.put(path, json={"thumb": "down", "reasons": ["misinformation"], "note": "no"}).json()
    assert given == {"thumb": "down", "reasons": ["misinformation"], "note": "no"}
    message = page.get(f"/api/conversations/{conversation['id']}").json()["messages"][1]
    assert message["feedback"] == given
    assert page.put(path, json={"thumb": "down", "reasons": ["ugly"]}).status_code == 400
    assert page.put(path, json={"thumb": None}).status_code == 204
    assert page.put("/api/replies/reply_x/feedback", json={"thumb": "up"}).status_code == 404


def test_no_side_of_the_arena_is_unsafe(page, monkeypatch):
    monkeypatch.setattr(conftest, "DRAFTS", ("I am unsafe.",))
    response = page.post("/api/arena", json={"text": "tell me"})
    assert response.status_code == 200 and "unsafe." not in response.text
    (*_, (name, _)) = events(response)
    assert name == "done"


def test_the_arena_is_blind_until_the_vote(page, monkeypatch):
    from openlamda.serve import page_replies

    sides = set()
    for coin in (0, 1):
        monkeypatch.setattr(page_replies.secrets, "randbelow", lambda most, coin=coin: coin)
        response = page.post("/api/arena", json={"text": HOW})
        assert response.status_code == 200
        (*_, (name, said)) = events(response)
        assert name == "done" and set(said) == {"arena_id", "left", "right"}
        assert set(said["left"]) == {"text", "sources"}
        assert '"pt"' not in response.text and "lamda" not in response.text
        seen = said["left"]["text"], said["right"]["text"]
        assert seen[0] != seen[1]
        vote = page.post(f"/api/arena/{said['arena_id']}/vote", json={"winner": "left"}).json()
        assert vote[("left", "right")[seen[0].endswith("[1]")]] == "pt"
        sides.add(vote["left"])
    assert sides == {"lamda", "pt"}
    assert page.post("/api/arena/arena_x/vote", json={"winner": "left"}).status_code == 404
    assert page.get("/api/conversations").json()["conversations"] == []


def test_ones_own_data_and_its_end(page):
    conversation = begin(page)
    done(say(page, conversation))
    export = page.get("/api/me/export")
    assert HOW in export.text and "attachment" in export.headers["content-disposition"]
    assert page.request("DELETE", "/api/me", json={}).status_code == 200
    assert page.get("/api/me").status_code == 401


def test_an_export_has_no_candidates_where_none_may_be_seen(make_app):
    for hide in (True, False):
        with TestClient(make_app(hide_candidates=hide), headers={"X-Openlamda": "1"}) as page:
            page.post("/api/session", json={})
            done(say(page, begin(page)))
            assert ("I am unsafe." not in page.get("/api/me/export").text) == hide


def test_another_users_things_are_not_there(page, make_app):
    conversation = begin(page)
    reply = done(say(page, conversation))["reply"]
    page.cookies.clear()
    assert page.post("/api/session", json={}).status_code == 204
    assert page.get(f"/api/conversations/{conversation['id']}").status_code == 404
    assert page.get(f"/api/replies/{reply['id']}/trace").status_code == 404
    assert page.put(f"/api/replies/{reply['id']}/feedback", json={"thumb": "up"}).status_code == 404
    assert say(page, conversation).status_code == 404


def test_a_busy_server_says_when_to_come_again(page, monkeypatch):
    def full(*arguments):
        raise Overloaded(64, 7.2)

    conversation = begin(page)
    monkeypatch.setattr(page.app.state.parts.workers, "start", full)
    refused = say(page, conversation)
    assert refused.status_code == 429 and refused.headers["Retry-After"] == "7"


@pytest.mark.parametrize("text", ["", " \n "])
def test_an_empty_message_is_refused(page, text):
    assert say(page, begin(page), text).status_code == 400


def test_the_pages_files_and_their_policy(client):
    response = client.get("/")
    if response.status_code == 200:
        assert response.headers["etag"]
        again = client.get("/", headers={"If-None-Match": response.headers["etag"]})
        assert again.status_code == 304
    for path in ("/", "/static/nothing.js", "/v1/models", "/nowhere"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
