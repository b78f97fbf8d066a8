"""What operators rely on: an end that loses nothing, reloading under way, bounded queues, logs and figures."""

import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from openlamda.errors import UserError
from openlamda.serve.agents import Agents
from openlamda.serve.logs import JsonLines
from openlamda.serve.running import listen
from openlamda.store.opening import open_store
from openlamda.store.records import KeyLimits
from tests.serve.conftest import events, serving

ASK = {"messages": [{"role": "user", "content": "how long is the river"}], "seed": 3}
WAIT = {"messages": [{"role": "user", "content": "please wait"}], "seed": 3}


def post(url, body, timeout=30.0, **headers):
    """(status, answer) of a request."""
    head = {"Content-Type": "application/json"} | headers
    request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode(), head)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def in_thread(work, *arguments):
    found = []
    thread = threading.Thread(target=lambda: found.append(work(*arguments)))
    thread.start()
    return thread, found


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_told_to_stop_it_ends_what_it_began_and_refuses_the_rest(make_app, monkeypatch):
    from openlamda.serve import running

    monkeypatch.setattr(running, "NOTICE", 0.2)
    gate = threading.Event()
    app = make_app(gate=gate)
    with serving(app) as served:
        under_way, found = in_thread(post, served.url, WAIT)
        until(lambda: app.state.parts.workers.under_way)
        until(lambda: get(served.url + "/readyz")[0] == 200)
        served.server.handle_exit(signal.SIGTERM, None)
        status, said = get(served.url + "/readyz")
        assert status == 503 and "shutting down" in said
        status, said = post(served.url, ASK)
        assert status == 503 and json.loads(said)["error"]["code"] == "shutting_down"
        assert get(served.url + "/healthz")[0] == 200
        gate.set()
        under_way.join()
        assert found[0][0] == 200
        served.thread.join(20)
        assert not served.thread.is_alive()


def test_a_new_model_costs_no_request(make_lamda, store, new_key):
    from openlamda.serve.app import create_app
    from openlamda.serve.settings import Settings

    gate, loads = threading.Event(), []

    def load():
        loads.append(1)
        return make_lamda(gate)

    agents = Agents(load, "scripted")
    app = create_app(Settings(), agents, store)
    admin = {"Authorization": f"Bearer {new_key('admin')}"}
    with serving(app) as served:
        under_way, found = in_thread(post, served.url, WAIT)
        until(lambda: app.state.parts.workers.under_way)
        before = agents.get("lamda")
        request = urllib.request.Request(served.url + "/admin/reload", b"", admin, method="POST")
        assert urllib.request.urlopen(request, timeout=10).status == 200
        assert len(loads) == 2 and agents.get("lamda") is not before
        assert post(served.url, ASK)[0] == 200
        gate.set()
        under_way.join()
        assert found[0][0] == 200
    assert next(line.action for line in store.audit_log()) == "model.reload"


def test_a_model_that_cannot_be_loaded_leaves_the_old_one(make_lamda, store, new_key):
    from openlamda.serve.app import create_app
    from openlamda.serve.settings import Settings

    loads = []

    def load():
        loads.append(1)
        if len(loads) > 1:
            raise UserError("nowhere: no config.json")
        return make_lamda()

    with TestClient(create_app(Settings(), Agents(load, "scripted"), store)) as client:
        response = client.post("/admin/reload", headers={"Authorization": f"Bearer {new_key('admin')}"})
        assert response.status_code == 502 and "no config.json" in response.json()["error"]["message"]
        assert client.post("/v1/chat/completions", json=ASK).status_code == 200


def test_too_many_at_once_are_told_when_to_come_again(make_app):
    gate = threading.Event()
    app = make_app(gate=gate, workers=1, most_waiting=1)
    with serving(app) as served:
        waiting = [in_thread(post, served.url, WAIT | {"seed": seed}) for seed in range(2)]
        until(lambda: app.state.parts.workers.under_way == 2)
        status, said = post(served.url, ASK)
        assert status == 429 and json.loads(said)["error"]["type"] == "rate_limit_error"
        assert "openlamda_waiting 1.0" in get(served.url + "/metrics")[1]
        gate.set()
        for thread, found in waiting:
            thread.join()
            assert found[0][0] == 200


class OneAtATime:
    """A model for which more threads are not quicker: it serves them as they come, like the engine."""

    def __init__(self):
        self._served, self._tickets, self._changed = 0, 0, threading.Condition()

    def wait(self, seconds):
        with self._changed:
            ticket, self._tickets = self._tickets, self._tickets + 1
            self._changed.wait_for(lambda: self._served == ticket)
        time.sleep(0.2)
        with self._changed:
            self._served += 1
            self._changed.notify_all()


def test_no_more_is_begun_than_will_end_in_time(make_app):
    gate = threading.Event()
    app = make_app(gate=gate, deadline=60.0)
    with serving(app) as served:
        until(lambda: app.state.parts.warm)
        for _ in range(16):
            app.state.parts.workers.learn(10.0)
        accepted = []
        for seed in range(3):  # in half of a minute
            accepted.append(in_thread(post, served.url, WAIT | {"seed": seed}))
            until(lambda: app.state.parts.workers.under_way == len(accepted))
        status, said = post(served.url, WAIT | {"stream": True})
        assert status == 429 and json.loads(said)["error"]["code"] == "busy"
        gate.set()
        for thread, found in accepted:
            thread.join()
            assert found[0][0] == 200


@pytest.mark.slow
def test_what_is_accepted_is_answered_in_time(make_app):
    app = make_app(gate=OneAtATime(), deadline=8.0)  # 60 replies take 12 s, and 64 may wait
    found, refused = [], []

    def chat(number):
        while True:
            status, said = post(served.url, WAIT | {"seed": number, "stream": True})
            if status != 429:
                found.append((status, said.splitlines()[-2]))
                return
            refused.append(number)
            time.sleep(0.3)

    with serving(app) as served:
        until(lambda: app.state.parts.warm)
        for _ in range(16):
            app.state.parts.workers.learn(0.2)  # the warm-up, which does not pass the gate, found less
        crowd = [threading.Thread(target=chat, args=(number,)) for number in range(60)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
    assert found == [(200, "data: [DONE]")] * 60 and refused


def test_a_slow_model_alone_is_asked(make_app):
    app = make_app()
    app.state.parts.workers.learn(1000.0)
    with TestClient(app) as client:
        assert client.post("/v1/chat/completions", json=ASK).status_code == 200


def test_ready_is_who_has_replied_once(make_app):
    app, replying = make_app(), threading.Event()
    model = app.state.parts.agents.all()[0].lamda.model
    sample = model.sample
    model.sample = lambda *arguments: (replying.wait(20), sample(*arguments))[1]
    with TestClient(app) as client:
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz")
        assert ready.status_code == 503 and ready.json() == {"status": "warming up"}
        replying.set()
        until(lambda: client.get("/readyz").status_code == 200)


def test_a_model_that_does_not_reply_is_not_ready_until_it_does(make_app):
    app, broken = make_app(warm_again=0.01), [True] * 3
    model = app.state.parts.agents.all()[0].lamda.model
    sample = model.sample

    def fails(*arguments):
        if broken:
            broken.pop()
            raise MemoryError
        return sample(*arguments)

    model.sample = fails
    with TestClient(app) as client:
        assert client.get("/readyz").status_code == 503
        until(lambda: client.get("/readyz").status_code == 200)
    assert not broken


def test_whoever_leaves_frees_the_place(make_app):
    gate = threading.Event()
    app = make_app(gate=gate, workers=1, most_waiting=4)
    with serving(app) as served:
        for stream in (False, True):
            with socket.create_connection(("127.0.0.1", served.port)) as connection:
                body = json.dumps(WAIT | {"stream": stream}).encode()
                head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
                connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
                until(lambda: app.state.parts.workers.under_way == 1)
            time.sleep(0.1)
            gate.set()
            until(lambda: app.state.parts.workers.under_way == 0)
            gate.clear()
        waiting, _ = in_thread(post, served.url, WAIT)
        until(lambda: app.state.parts.workers.under_way == 1)
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
            until(lambda: app.state.parts.workers.under_way == 2)
        until(lambda: app.state.parts.workers.under_way == 1)  # at once, though it never had a thread
        gate.set()
        waiting.join()
        assert post(served.url, ASK)[0] == 200
    store = app.state.parts.store
    assert len(store.conversations(store.nobody())) == 2  # what nobody waited for was not kept


def test_a_reply_that_takes_too_long_is_a_504(make_app):
    gate = threading.Event()
    threading.Timer(0.3, gate.set).start()
    with TestClient(make_app(gate=gate, deadline=0.1)) as client:
        refused = client.post("/v1/chat/completions", json=WAIT)
    assert refused.status_code == 504 and refused.json()["error"]["code"] == "deadline"


def test_figures(client):
    client.post("/v1/chat/completions", json=ASK)
    client.post("/v1/chat/completions", json={})
    client.get("/no/such/path/123")
    text = client.get("/metrics").text
    for line in (
        'openlamda_requests_total{path="/v1/chat/completions",status="200"} 1.0',
        'openlamda_requests_total{path="/v1/chat/completions",status="400"} 1.0',
        'openlamda_requests_total{path="other",status="404"} 1.0',
        'openlamda_replies_total{finish_reason="stop"} 1.0',
        'openlamda_dropped_candidates_total{why="unsafe"} 4.0',
        'openlamda_stage_seconds_count{stage="draft: sample"} 1.0',
    ):
        assert line in text
    assert 'openlamda_tokens_total{kind="completion"}' in text


def test_logs_are_json_without_personal_data(client, caplog):
    caplog.set_level(logging.INFO)
    text = "mail ann@example.org or call +1 650 253 0000"
    client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": text}]})
    client.get("/static/ann@example.org")
    formatter = JsonLines()
    lines = [formatter.format(record) for record in caplog.records]
    said = [json.loads(line) for line in lines]
    assert any(line.get("path") == "/v1/chat/completions" and line["status"] == 200 for line in said)
    assert "ann@" not in "".join(lines) and "253" not in "".join(lines)
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "from %s at %s", ("ann@example.org", "81.2.69.142"), None)
    record.note = "ann@example.org"
    assert json.loads(formatter.format(record))["message"] == "from [email] at [ip]"
    assert json.loads(formatter.format(record))["note"] == "[email]"


def test_roles_are_read_again_when_they_change(make_lamda, tmp_path, caplog):
    role = tmp_path / "guide.toml"
    role.write_text('name = "Guide"\ngreeting = "Hello!"\n')
    agents = Agents(make_lamda, "scripted", [tmp_path])
    agent = agents.get("openlamda/guide")
    assert agent is not None and agent.lamda.role.greeting == "Hello!"
    assert agents.refresh() == []
    for broken in ("name = 3", "nam = 'x'", 'name = "G"\ntools = ["hammer"]', 'name = "G"\n[thresholds]\nsafe = 2\n'):
        role.write_text(broken + "\n# " + "x" * len(broken))
        assert agents.refresh() == [] and agents.get("guide") is agent
    assert sum(record.levelname == "ERROR" for record in caplog.records) == 4
    role.write_text('name = "Guide"\ngreeting = "Good morning!"\n')
    (tmp_path / "other.toml").write_text('name = "Other"\n')
    assert sorted(agents.refresh()) == ["guide", "other"]
    changed = agents.get("guide")
    assert changed is not None and changed.lamda.role.greeting == "Good morning!"
    role.unlink()
    assert agents.refresh() == ["guide"] and agents.get("guide") is None


def test_a_broken_role_of_ones_own_is_told_at_the_start(make_lamda, tmp_path):
    (tmp_path / "guide.toml").write_text("nam = 'x'")
    with pytest.raises(UserError, match=r"guide.toml: no setting 'nam'; did you mean 'name'"):
        Agents(make_lamda, "scripted", [tmp_path])


def test_a_stream_tells_of_an_outage_in_words(client, store, monkeypatch):
    from openlamda.store.records import StoreUnavailable

    def down(*arguments, **named):
        raise StoreUnavailable("down")

    until(lambda: client.get("/readyz").status_code == 200)
    monkeypatch.setattr(type(store), "ping", down)
    assert client.get("/readyz").status_code == 503
    monkeypatch.setattr(type(store), "kept", down)
    assert client.post("/v1/chat/completions", json=ASK | {"stream": True}).status_code == 503
    assert events(client.post("/v1/chat/completions", json=ASK | {"store": False, "stream": True}))[-1][1] == "[DONE]"


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
def test_the_command_serves_and_ends(tmp_path, replicas):
    command = [sys.executable, "-m", "openlamda", "serve", "--port", "0", "--store", str(tmp_path / "s.db")]
    command += ["--replicas", str(replicas)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3]
            until(lambda: _ready(url), 120)
            ask = {"messages": [{"role": "user", "content": "what is 17 plus 5?"}]}
            for seed in range(4):
                status, said = post(url, ask | {"seed": seed}, 120)
                assert status == 200 and "22" in said
            assert 'openlamda_replies_total{finish_reason="stop"} 4.0' in get(url + "/metrics")[1]
            if replicas > 1 and hasattr(signal, "SIGHUP"):
                with contextlib.closing(open_store(str(tmp_path / "s.db"))) as store:
                    key = store.new_key(store.new_user("admin").id, "test", frozenset(["admin"]), KeyLimits())[1]
                    head = {"Authorization": f"Bearer {key}"}
                    reload = urllib.request.Request(url + "/admin/reload", b"", head, method="POST")
                    assert urllib.request.urlopen(reload, timeout=120).status == 200
                    until(lambda: [line.actor for line in store.audit_log()].count("SIGHUP") == replicas, 60)
            if hasattr(signal, "SIGHUP"):
                process.send_signal(signal.SIGHUP)
                assert post(url, ask, 120)[0] == 200
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) in (0, -signal.SIGTERM)


def test_replicas_that_cannot_serve_end_with_one_line_and_exit_code_2(tmp_path):
    missing = tmp_path / "no-such-model"
    command = [sys.executable, "-m", "openlamda", "serve", str(missing), "--port", "0", "--replicas", "2"]
    done = subprocess.run([*command, "--store", str(tmp_path / "s.db")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "error: " in done.stderr and str(missing) in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_replicas_end_with_the_process_that_watches_them(tmp_path):
    command = [sys.executable, "-m", "openlamda", "serve", "--port", "0", "--store", str(tmp_path / "s.db")]
    with subprocess.Popen([*command, "--replicas", "2"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3]
        until(lambda: _ready(url), 240)
        begun = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
    assert len(begun) >= 2
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in begun), 60)


def _ready(url):
    try:
        return get(url + "/readyz")[0] == 200
    except OSError:
        return False


def test_the_log_names_no_address_that_a_tool_asks():
    program = (
        "import logging; from openlamda.serve.logs import log_as_json; log_as_json()\n"
        "logging.getLogger('httpx2').info('HTTP Request: GET http://h/?q=secret')\n"
        "logging.getLogger('openlamda').info('told')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "told" in done.stderr and "secret" not in done.stderr


def test_a_port_that_is_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}: in use, expected a port that is free"):
            listen("127.0.0.1", port)
    with pytest.raises(UserError, match="a port of 0 to 65535"):
        listen("127.0.0.1", 99999)
