"""The tests of this folder once more, against `openlamda serve` and the model that ships."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest


@pytest.mark.slow
def test_the_page_over_the_real_server(tmp_path):
    pytest.importorskip("openlamda.serve.app", reason="openlamda serve is not in this tree")
    serve = [sys.executable, "-m", "openlamda", "serve", "--port", "0", "--store", str(tmp_path / "store.db")]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            url = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
            question = {"messages": [{"role": "user", "content": "How high is Mount Kilimanjaro?"}]}
            first = Request(f"{url}/v1/chat/completions", json.dumps(question).encode())
            first.add_header("Content-Type", "application/json")
            urlopen(first, timeout=300).close()  # the model is read and compiled
            again = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", str(Path(__file__).parent)]
            environment = os.environ | {"OPENLAMDA_WEB_URL": f"{url}/"}
            done = subprocess.run(again, env=environment, stdout=subprocess.PIPE, text=True)
        finally:
            server.terminate()
    assert done.returncode == 0, done.stdout[-4000:]
