"""The findings, each on a machine that has or lacks what it is about."""

import json
import subprocess
import sys
from importlib import metadata

import pytest

from openlamda.cli import doctor as module
from openlamda.cli.doctor import doctor
from openlamda.errors import UserError


def findings(capsys, **options):
    doctor(json=True, **options)
    return {check["what"]: check for check in json.loads(capsys.readouterr().out)}


def test_the_shipped_model_works_and_every_finding_names_its_state(capsys):
    found = findings(capsys)
    assert found["model"]["state"] == "works" and "safe" in found["model"]["found"]
    assert found["accelerator"]["state"] in ("works", "missing")
    assert {"cache", "translator: Apertium", "translator: server"} <= set(found)
    assert any(what.startswith("extra train") for what in found)
    assert all(check["fix"] for check in found.values() if check["state"] != "works")


def test_a_model_that_cannot_be_used_is_the_one_failure(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "openlamda", "doctor", "--model", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 2 and "config.json" in done.stderr and "Traceback" not in done.stderr
    assert "translator" in done.stdout  # the rest is told all the same


def test_without_apertium_the_package_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    check = module._apertium()
    assert check.state == "missing" and check.fix == "apt-get install apertium apertium-eng-spa"
    assert "apertium-eng-cat" in check.found


def test_a_cache_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    (tmp_path / "openlamda").write_text("a file in its place")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    check = module._cache()
    assert check.state == "broken" and "XDG_CACHE_HOME" in check.fix


def test_a_server_that_does_not_answer_is_broken(monkeypatch):
    monkeypatch.setenv("OPENLAMDA_TRANSLATE_URL", "http://127.0.0.1:9")
    assert module._server().state == "broken"
    monkeypatch.delenv("OPENLAMDA_TRANSLATE_URL")
    assert module._server().state == "missing"


def test_an_extra_without_a_package_names_its_command(monkeypatch):
    needed = ["jax>=0.10", "no-such-package>=1 ; extra == 'train'", "msgspec ; extra == 'zim'"]
    monkeypatch.setattr(metadata, "requires", lambda name: needed)
    train, zim = module._extras()
    assert (train.state, train.fix) == ("missing", "pip install 'openlamda[train]'")
    assert "no-such-package" in train.found and zim.state == "works"


def test_a_driver_that_jax_does_not_see_is_told(monkeypatch):
    pytest.importorskip("jax")
    from openlamda.engine import devices

    monkeypatch.setattr(devices, "unseen", lambda: "jax[cuda13]")
    check = module._accelerator()
    assert check.state == "missing" and check.fix == "pip install 'jax[cuda13]'"


def test_a_broken_model_raises_after_the_findings(tmp_path, capsys):
    with pytest.raises(UserError, match="the model cannot be used"):
        doctor(model=tmp_path, json=True)
    model = json.loads(capsys.readouterr().out)[0]
    assert (model["state"], model["fix"]) == ("broken", "")  # to install openlamda again mends no model of the user
