"""PostgreSQL that really stops, and processes that are really killed."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import psycopg
import pytest
import sqlalchemy as sa

from openlamda.errors import UserError
from openlamda.store import StoreUnavailable, open_store

WRITER = """
import sys
from openlamda.store import open_store
from openlamda.store.records import KeptReply
url, user, talk, first = sys.argv[1:]
store = open_store(url)
number = int(first)
while True:
    reply = KeptReply(f"reply {number}", "stop", True, [], {}, "lamda", "nano", number, {})
    ids = store.keep_exchange(talk, None, f"text {number}", reply, f"request {number}", user_id=user)
    print(number, ids.reply_id, ids.new, flush=True)
    number += 1
"""


def test_a_stopped_server_is_said_soon_and_comes_back_by_itself(postgresql, kept):
    store = open_store(postgresql.create("stopping"))
    user = store.new_user()
    postgresql.stop("immediate")
    try:
        for attempt in range(3):
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable) as raised:
                store.keep_exchange(None, None, "secret words", kept(), f"down {attempt}", user_id=user.id)
            assert time.monotonic() - begun < 2.5
            assert "s3cret" not in str(raised.value) and "secret words" not in str(raised.value)
            assert "postgresql://127.0.0.1" in str(raised.value) and raised.value.__cause__ is None
        with pytest.raises(StoreUnavailable):
            store.ping()
        with pytest.raises(StoreUnavailable):
            open_store(postgresql.url("stopping"))
    finally:
        postgresql.start()
    store.ping()
    assert store.keep_exchange(None, None, "again", kept(), "down 0", user_id=user.id).new
    assert len(store.conversations(user.id)) == 1
    store.close()


def test_a_restart_under_load_loses_nothing_and_doubles_nothing(postgresql, kept):
    store = open_store(postgresql.create("restarting"))
    user = store.new_user()
    acknowledged, refused, over = [], [], threading.Event()

    def write(worker: int) -> None:
        number = 0
        while not over.is_set():
            try:
                ids = store.keep_exchange(None, None, "x", kept(), f"{worker}/{number}", user_id=user.id)
            except StoreUnavailable:
                refused.append(worker)  # and the same request again
                time.sleep(0.05)
                continue
            acknowledged.append((f"{worker}/{number}", ids.reply_id))
            number += 1

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for mode in ("immediate", "fast"):
        time.sleep(0.5)
        postgresql.stop(mode)
        time.sleep(0.5)
        postgresql.start()
    before = len(acknowledged)
    time.sleep(1)
    over.set()
    for thread in threads:
        thread.join()
    assert refused and len(acknowledged) > before
    for request, reply in acknowledged:
        kept_where = store.kept(user.id, request)
        assert kept_where is not None and kept_where.reply_id == reply
    assert len(store.conversations(user.id, limit=100_000)) == len(acknowledged)
    store.close()


def test_a_frozen_server_is_said_soon_and_comes_back_by_itself(postgresql, kept):
    store = open_store(postgresql.create("freezing"))
    user = store.new_user()
    postgresql.freeze()
    try:
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):  # on the connection that is there, then on a new one
            store.keep_exchange(None, None, "secret words", kept(), "frozen", user_id=user.id)
        assert time.monotonic() - begun < 9  # five, and what a busy machine adds
        begun = time.monotonic()
        for _ in range(20):  # who asks next does not wait again
            with pytest.raises(StoreUnavailable):
                store.ping()
        assert time.monotonic() - begun < 3
    finally:
        postgresql.thaw()
    time.sleep(1.1)
    store.keep_exchange(None, None, "secret words", kept(), "frozen", user_id=user.id)
    assert len(store.conversations(user.id)) == 1
    store.close()


def test_a_server_that_freezes_in_the_middle_is_said_soon(postgresql):
    store = open_store(postgresql.create("freezing_later"))
    begun = 0.0
    try:
        with pytest.raises(StoreUnavailable), store._database.write() as connection:
            connection.execute(sa.text("SELECT 1"))
            postgresql.freeze()
            begun = time.monotonic()
            connection.execute(sa.text("SELECT 2"))
        assert time.monotonic() - begun < 5
    finally:
        postgresql.thaw()
    store.close()


def test_a_long_statement_is_no_silence(postgresql, monkeypatch):
    monkeypatch.setattr("openlamda.store.silence.PATIENCE", 0.1)
    store = open_store(postgresql.create("slow_one"))
    with store._database.read() as connection:
        assert connection.execute(sa.text("SELECT 7 FROM pg_sleep(1)")).scalar_one() == 7
    store.close()


def test_a_server_that_became_a_standby_is_left_for_the_one_that_took_over(postgresql):
    store = open_store(postgresql.create("standby"))
    with psycopg.connect(postgresql.url(), autocommit=True) as admin:
        admin.execute("ALTER DATABASE standby SET default_transaction_read_only = on")
        store._database.engine.dispose()
        with pytest.raises(StoreUnavailable, match="ReadOnly"):
            store.new_user()
        admin.execute("ALTER DATABASE standby RESET default_transaction_read_only")
    assert store.new_user()
    store.close()


def test_a_server_that_refuses_is_the_users_to_mend(postgresql):
    wrong = postgresql.url("postgres").replace("s3cret", "guess")
    with pytest.raises(UserError, match="password authentication failed") as raised:
        open_store(wrong)
    assert "guess" not in str(raised.value)
    with pytest.raises(UserError, match='database "nowhere" does not exist'):
        open_store(postgresql.url("nowhere"))


def test_a_host_that_is_silent_is_said_soon():
    with socket.socket() as listener:  # takes connections, and says nothing on them
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            open_store(f"postgresql://ann:s3cret@127.0.0.1:{listener.getsockname()[1]}/db")
        assert time.monotonic() - begun < 4


@pytest.mark.slow
def test_what_a_killed_process_acknowledged_is_there_once(url, tmp_path):
    store = open_store(url)
    user = store.new_user()
    talk = store.new_conversation(user.id, "lamda")
    rng, acknowledged, number = random.Random(0), {}, 0
    (tmp_path / "writer.py").write_text(WRITER)
    for _ in range(20):
        command = [sys.executable, str(tmp_path / "writer.py"), url, user.id, talk.id, str(number)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
            assert writer.stdout
            lines = [writer.stdout.readline()]
            threading.Timer(rng.uniform(0.01, 0.3), writer.send_signal, (signal.SIGKILL,)).start()
            lines += writer.stdout.readlines()
        assert writer.returncode == -signal.SIGKILL
        for line in lines:
            if line.endswith("\n"):
                told, reply, _ = line.split()
                assert int(told) not in acknowledged
                acknowledged[int(told)] = reply
        number = max(acknowledged) + 1  # the next one asks again for what was perhaps written, but not acknowledged
    assert sorted(acknowledged) == list(range(number))
    read = store.conversation(user.id, talk.id)
    assert read is not None
    replies = {message.text: message.reply_id for message in read.messages if message.author == "agent"}
    assert all(replies[f"reply {told}"] == reply for told, reply in acknowledged.items())
    assert len(replies) * 2 == len(read.messages) and len(replies) - len(acknowledged) in (0, 1)
    store.close()
