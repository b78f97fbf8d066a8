"""The remote engine and real servers of llama.cpp, over a tiny model whose logprobs NumPy knows.

OPENLAMDA_LLAMA_SERVER names llama.cpp's `llama-server` (else one on the PATH is taken), OPENLAMDA_LLAMA_PYTHON an
interpreter that has gguf and llama-cpp-python[server] (else this one is taken). What is not there is skipped.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import sentencepiece

from openlamda.engine.base import Sampling
from openlamda.engine.remote import Abilities, RemoteLanguageModel
from openlamda.errors import UserError
from openlamda.loading import SHIPPED, load
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import UNSPOKEN
from openlamda.text.tokenizer import Symbol, Tokenizer

pytestmark = pytest.mark.slow

PYTHON = os.environ.get("OPENLAMDA_LLAMA_PYTHON", sys.executable)
SERVER = os.environ.get("OPENLAMDA_LLAMA_SERVER") or shutil.which("llama-server")
EOS, SNIPPET = int(Symbol.EOS), int(Symbol.SNIPPET)
D = 32


def made() -> dict[str, np.ndarray]:
    """Weights of a llama without queries, so that it attends to all before it alike, and without a feed-forward."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(SHIPPED / "tokenizer.model"))
    V, rng = pieces.vocab_size(), np.random.default_rng(0)

    def random(*shape):
        return rng.normal(size=shape)

    embedding, output, out = random(V, D), random(V, D) * 0.3, random(D, D) * 0.1
    embedding[:, 0], out[0], output[:, 0] = 8, 0, 0  # the first dimension is the same everywhere,
    output[[EOS, SNIPPET], 0] = 2.5  # which makes the ends likely
    kinds = {
        "CONTROL": pieces.is_control,
        "UNKNOWN": pieces.is_unknown,
        "BYTE": pieces.is_byte,
        "NORMAL": lambda token: True,
    }
    return {
        "token_embd.weight": embedding,
        "blk.0.attn_norm.weight": np.ones(D),
        "blk.0.attn_q.weight": np.zeros((D, D)),
        "blk.0.attn_k.weight": random(D, D),
        "blk.0.attn_v.weight": random(D, D),
        "blk.0.attn_output.weight": out,
        "blk.0.ffn_norm.weight": np.ones(D),
        "blk.0.ffn_gate.weight": np.zeros((D, D)),
        "blk.0.ffn_up.weight": np.zeros((D, D)),
        "blk.0.ffn_down.weight": np.zeros((D, D)),
        "output_norm.weight": np.ones(D),
        "output.weight": output,
        "pieces": np.array([pieces.id_to_piece(token) for token in range(V)]),
        "scores": np.array([pieces.get_score(token) for token in range(V)]),
        "types": np.array([next(kind for kind, is_one in kinds.items() if is_one(token)) for token in range(V)]),
    }


def plain(weights: dict[str, np.ndarray], prefix: tuple[int, ...], continuation: tuple[int, ...]) -> np.ndarray:
    """Logprobs of a continuation's tokens, by NumPy."""

    def normed(x):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)

    x = weights["token_embd.weight"][list(prefix + continuation)]
    seen = (normed(x) @ weights["blk.0.attn_v.weight"].T).cumsum(0) / np.arange(1, len(x) + 1)[:, None]
    logits = normed(x + seen @ weights["blk.0.attn_output.weight"].T) @ weights["output.weight"].T
    logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return logprobs[np.arange(len(prefix) - 1, len(x) - 1), list(continuation)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The weights, and the path of their GGUF file."""
    if subprocess.run([PYTHON, "-c", "import gguf"], capture_output=True).returncode:
        pytest.skip("gguf is not installed")
    weights, folder = made(), tmp_path_factory.mktemp("llama")
    np.savez(folder / "model.npz", **weights)  # pyright: ignore[reportArgumentType]
    script = Path(__file__).with_name("write_gguf.py")
    subprocess.run([PYTHON, script, folder / "model.npz", folder / "model.gguf"], check=True, capture_output=True)
    return weights, folder / "model.gguf"


@contextmanager
def running(command: list[object], path: str):
    """The address of a server, once it answers at `path`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [*map(str, command), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                time.sleep(0.1)
                assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
                    break
                except urllib.error.HTTPError as error:  # it is loading
                    error.close()
                except OSError:
                    pass
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def url(model):
    if SERVER is None:
        pytest.skip("llama-server is not installed")
    options = ["-c", 4096, "-t", 1, "-fa", "off", "--cache-type-k", "f32", "--cache-type-v", "f32"]
    with running([SERVER, "-m", model[1], *options], "/health") as url:
        yield url


@pytest.fixture(scope="module")
def remote(url):
    engine = RemoteLanguageModel.connect(url, Tokenizer.load(SHIPPED / "tokenizer.model"))
    yield engine
    engine.close()


def test_scores_and_ratings_are_those_of_numpy(model, remote):
    assert remote.abilities == Abilities(many=False, echo=False, stops=True)
    tokenizer = Tokenizer.load(SHIPPED / "tokenizer.model")
    prefix = (3, *tokenizer.encode("how long is the river?"), 6)
    euro = tuple(tokenizer.encode("\u20ac 5"))
    continuations = [(8,), (9,), (*euro, EOS), (300, 301), ()]
    for continuation, scores in zip(continuations, remote.score(prefix, continuations), strict=True):
        np.testing.assert_allclose(scores, plain(model[0], prefix, continuation), atol=1e-4)
    replies, questions = [euro, (300,), ()], [(12,), (15, 400)]
    for reply, gaps in zip(replies, remote.rate(prefix, replies, questions, 18, 17), strict=True):
        for question, gap in zip(questions, gaps, strict=True):
            yes, no = (plain(model[0], prefix + reply + question, (rating,))[0] for rating in (18, 17))
            assert gap == pytest.approx(yes - no, abs=1e-4)


def test_candidates_are_drawn_as_asked(model, remote):
    prefix, sampling = (3, 300, 301, 6), Sampling(max_tokens=12, top_k=3000, banned=UNSPOKEN)
    drawn = remote.sample(prefix, 16, sampling, seed=5)
    assert any(candidate.finished for candidate in drawn)
    for candidate in drawn:
        said = candidate.tokens + ((EOS,) if candidate.finished else ())
        assert candidate.logprob == pytest.approx(plain(model[0], prefix, said).sum(), abs=1e-3)
        assert len(candidate.tokens) <= 12 and not {EOS, *UNSPOKEN} & set(candidate.tokens)
    again = remote.sample(prefix, 16, sampling, seed=5)
    assert [candidate.tokens for candidate in again] == [candidate.tokens for candidate in drawn]
    assert len({candidate.tokens for candidate in drawn}) == 16
    (first, *others) = remote.sample(prefix, 3, Sampling(temperature=0, max_tokens=4, banned=(EOS, *UNSPOKEN)), 0)
    assert others == [first, first] and len(first.tokens) == 4
    for place, token in enumerate(first.tokens):
        allowed = sorted(set(range(4096)) - {EOS, *UNSPOKEN})
        choice = [plain(model[0], prefix + first.tokens[:place], (other,))[0] for other in (token, *allowed[::97])]
        assert choice[0] == max(choice)
    allowed = tuple(symbol for symbol in UNSPOKEN if symbol != SNIPPET)
    ends = []
    for candidate in remote.sample(prefix, 16, Sampling(stop=(EOS, SNIPPET), banned=allowed), seed=6):
        assert not {EOS, SNIPPET} & set(candidate.tokens)
        logprobs = [plain(model[0], prefix, (*candidate.tokens, end)).sum() for end in (EOS, SNIPPET)]
        ends.append(int(np.argmin(np.abs(np.subtract(logprobs, candidate.logprob)))))
        assert candidate.finished and candidate.logprob == pytest.approx(logprobs[ends[-1]], abs=1e-3)
    assert set(ends) == {0, 1}


def test_a_whole_reply(url):
    lamda = load(SHIPPED, remote=url)
    assert isinstance(lamda.model, RemoteLanguageModel)
    try:
        lamda.judges.thresholds.clear()  # of a model that knows something
        replies = [lamda.reply(Dialog((Turn("user", "<RESPONSE> how long is it?"),)), seed=seed) for seed in (0, 0, 1)]
    finally:
        lamda.model.close()
    assert [len(reply.trace.rounds["draft"]) for reply in replies] == [16] * 3
    assert {"sensible", "specific", "interesting", "safe"} <= set(replies[0].trace.rounds["draft"][0].scores)
    assert replies[0].text and replies[0].text == replies[1].text != replies[2].text


def test_the_server_of_llama_cpp_python_takes_only_text_and_is_refused(model):
    if subprocess.run([PYTHON, "-c", "import llama_cpp.server.app"], capture_output=True).returncode:
        pytest.skip("llama-cpp-python[server] is not installed")
    tokenizer = Tokenizer.load(SHIPPED / "tokenizer.model")
    with (
        running([PYTHON, "-m", "llama_cpp.server", "--model", model[1]], "/v1/models") as url,
        pytest.raises(UserError, match=r"HTTP 500.*valid string.*expected a server that takes a prompt of token ids"),
    ):
        RemoteLanguageModel.connect(url, tokenizer)
