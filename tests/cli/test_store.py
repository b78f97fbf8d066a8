"""`openlamda keys` and `openlamda store` as users run them."""

import json
import sys

import pytest
import sqlalchemy as sa

from openlamda.cli.app import main
from openlamda.store import open_store, tables
from openlamda.store.records import KeptReply


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "store.db")


@pytest.fixture
def run(monkeypatch, capsys):
    """The command in this process: what it prints, where it ends with `code`."""

    def command(*arguments, store="", code=0):
        monkeypatch.setenv("OPENLAMDA_STORE", store)
        monkeypatch.setattr(sys, "argv", ["openlamda", *arguments])
        try:
            main()
            ended = 0
        except SystemExit as end:
            ended = end.code or 0
        printed = capsys.readouterr()
        assert ended == code, printed.err
        return printed

    return command


def test_a_key_is_made_listed_and_revoked(run, place):
    made = json.loads(run("keys", "new", "Ann's [red]notebook", "--tokens-per-day", "100", "--json", store=place).out)
    assert made["secret"].startswith("olk_") and made["tokens_per_day"] == 100
    store = open_store(place)
    key = store.key_of(made["secret"])
    assert key is not None and key.id == made["id"] and key.scopes == {"chat", "completions"}
    plain = run("keys", "new", "second", "--scopes", "admin", "--days", "3", "--user", key.user_id, store=place)
    assert store.key_of(plain.out.strip()) is not None
    listed = json.loads(run("keys", "list", "--json", "--store", place).out)
    assert [one["name"] for one in listed] == ["Ann's [red]notebook", "second"]
    assert not any(made["secret"][4:] in str(one) for one in listed)
    shown = run("keys", "list", "--store", place).out
    assert "[red]" in shown.replace("\n", "")
    run("keys", "revoke", made["id"], "--store", place)
    assert store.key_of(made["secret"]) is None
    assert "revoked already" in run("keys", "revoke", made["id"], "--store", place, code=2).err
    actions = [line["action"] for line in json.loads(run("store", "audit", "--json", "--store", place).out)]
    assert actions == ["revoke_key", "new_key", "new_key"]
    assert "revoke_key" in run("store", "audit", "--store", place).out
    store.close()


def test_one_users_data_go_out_and_away(run, place, tmp_path):
    store = open_store(place)
    user = store.new_user()
    reply = KeptReply("5,895 m", "stop", True, [], {}, "lamda", "nano", 1, {})
    ids = store.keep_exchange(None, None, "how high?", reply, "a", user_id=user.id)
    store.add_feedback(user.id, ids.reply_id, "down", ("misinformation",))
    arena = store.new_arena(user.id, ids.reply_id, ids.reply_id, {"left": "pt", "right": "lamda"})
    store.add_vote(user.id, arena.id, "right")
    run("store", "export-user", user.id, "-o", str(tmp_path / "ann.json"), "--store", place)
    assert json.loads((tmp_path / "ann.json").read_text())["conversations"][0]["title"] == "how high?"
    run("store", "feedback", "-o", str(tmp_path / "ratings.jsonl"), "--store", place)
    checked = run("ratings", "check", "--lenient", "--json", str(tmp_path / "ratings.jsonl"))
    assert json.loads(checked.out)["labels"]["unsafe/misinformation"] == {"yes": 1, "no": 0, "agreement": None}
    vote = json.loads(run("store", "votes", "--store", place).out)
    assert vote["winner"] == "right" and vote["rater"].startswith("rater_")
    gone = json.loads(run("store", "delete-user", user.id, "--json", "--store", place).out)
    assert gone["deleted"]["conversations"] == 1
    assert "no such user" in run("store", "export-user", user.id, "--store", place, code=2).err
    assert run("store", "purge", "--days", "30", "--store", place).out == "deleted: nothing\n"
    migrated = json.loads(run("store", "migrate", "--json", "--store", place).out)
    assert migrated == {"store": f"the store {place}", "version": "0003"}
    store.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("keys", "new", "k", "--scopes", "all"), "scope 'all', expected one of chat"),
        (("keys", "new", "k", "--user", "user_no"), "no such user"),
        (("keys", "new", "k", "--days", "-1"), "--days -1"),
        (("store", "purge", "--days", "-1"), "--days -1"),
        (("store", "delete-user", "user_no"), "no such user"),
        (("store", "migrate", "--store", "mysql://a:s3cret@b/c"), "store mysql://...: no database of that kind"),
        (("store", "migrate", "--store", "postgresql://a:s3cret@127.0.0.1:1/c"), "does not answer"),
    ],
)
def test_mistakes_with_a_store_are_named(run, place, arguments, message):
    done = run(*arguments, store=place, code=2)
    if arguments[:2] == ("keys", "new"):
        store = open_store(place)
        with store._database.read() as connection:
            assert connection.execute(sa.select(tables.users)).all() == []  # nobody was made on the way
        store.close()
    assert message in done.err and "s3cret" not in done.err and len(done.err.splitlines()) == 1
