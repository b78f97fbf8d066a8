"""Those who draw in engine.py: a process each, which answers the number of a round with the seconds that it took."""

import atexit
import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np

from openlamda.model.config import PRESETS

NANO = PRESETS["nano"]
PROMPT, CANDIDATES, NEW = 512, 16, 64
LAYERS, D, HEADS, HEAD, FF, VOCAB = (
    NANO.num_layers, NANO.d_model, NANO.num_heads, NANO.d_head, NANO.d_ff, NANO.vocab_size,
)  # fmt: skip
PRODUCT_FLOPS = 20 * 2 * 1024**3
Round = Callable[[int], object]


def flops(prompt: int, candidates: int, new: int) -> float:
    """Of reading a prompt once and drawing after it: products with weights, and attention to all before."""
    layer = D * HEADS * HEAD * 4 + D * FF * 3
    attention = 2 * HEADS * HEAD * LAYERS
    prompt_flops = prompt * 2 * LAYERS * layer + 2 * attention * prompt**2 / 2
    drawn = candidates * new
    return prompt_flops + drawn * (2 * (LAYERS * layer + D * VOCAB) + 2 * attention * (prompt + new / 2))


def prompt_of(number: int) -> list[int]:
    """A prompt that no earlier round had."""
    return np.random.default_rng(1000 + number).integers(300, VOCAB, PROMPT).tolist()


def openlamda() -> Round:
    """Ours."""
    import jax

    from openlamda.engine.base import Sampling
    from openlamda.engine.local import LocalModel
    from openlamda.model import params

    model = LocalModel(params.init(NANO, jax.random.key(0)), NANO)
    sampling = Sampling(max_tokens=NEW, stop=())
    return lambda number: model.sample(tuple(prompt_of(number)), CANDIDATES, sampling, max(0, number))


def transformers() -> Round:
    """A Llama of the same size by `generate`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=D, num_hidden_layers=LAYERS, num_attention_heads=HEADS, head_dim=HEAD,
        intermediate_size=FF, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config).float().eval()
    options = {"do_sample": True, "top_k": 40, "num_return_sequences": CANDIDATES, "pad_token_id": 0}

    def draw(number: int) -> object:
        tokens = torch.tensor([prompt_of(number)])
        with torch.inference_mode():
            drawn = model.generate(
                tokens, attention_mask=torch.ones_like(tokens), min_new_tokens=NEW, max_new_tokens=NEW, **options
            )
        assert drawn.shape == (CANDIDATES, PROMPT + NEW)
        return drawn

    return draw


def llama_cpp(server: str) -> Round:
    """The same Llama in llama.cpp's server, which reads the prompt once and has a slot for each candidate."""
    folder = Path(tempfile.mkdtemp())
    write_gguf(folder / "model.gguf")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    slots = ["-np", str(CANDIDATES), "-c", str(CANDIDATES * (PROMPT + NEW + 64)), "-kvu"]
    types = ["-ctk", "f32", "-ctv", "f32", "-fa", "off", "-t", "2"]
    command = [server, "-m", str(folder / "model.gguf"), "--port", str(port), "--no-webui", *slots, *types]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(process.kill)
    asked = {"n": CANDIDATES, "max_tokens": NEW, "ignore_eos": True, "temperature": 1.0, "top_k": 40, "top_p": 1.0}

    def draw(number: int) -> object:
        body = json.dumps(asked | {"prompt": prompt_of(number), "seed": max(0, number), "min_p": 0.0}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/completions", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            choices = json.load(answer)["choices"]
        assert len(choices) == CANDIDATES
        return choices

    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
                return draw
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{server} does not answer")


def write_gguf(path: Path) -> None:
    """A Llama of random float32 weights."""
    import gguf

    writer, rng = gguf.GGUFWriter(path, "llama"), np.random.default_rng(0)
    writer.add_context_length(1 << 15)
    writer.add_embedding_length(D)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FF)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_rope_dimension_count(HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(VOCAB)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    pieces += [f"▁{number}" for number in range(VOCAB - len(pieces))]
    kinds = gguf.TokenType
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL] + [kinds.BYTE] * 256 + [kinds.NORMAL] * (VOCAB - 259)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores([0.0] * VOCAB)
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)

    def add(name: str, *shape: int) -> None:
        spread = shape[-1] ** -0.5
        tensor = rng.normal(size=shape) * spread if len(shape) > 1 else np.ones(shape)
        writer.add_tensor(name, tensor.astype(np.float32))

    add("token_embd.weight", VOCAB, D)
    add("output_norm.weight", D)
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{name}.weight", D)
        for name in ("attn_q", "attn_k", "attn_v"):
            add(f"blk.{layer}.{name}.weight", HEADS * HEAD, D)
        add(f"blk.{layer}.attn_output.weight", D, HEADS * HEAD)
        for name, shape in {"ffn_gate": (FF, D), "ffn_up": (FF, D), "ffn_down": (D, FF)}.items():
            add(f"blk.{layer}.{name}.weight", *shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def product() -> Round:
    """Products of two squares of 1024, the machine's best."""
    import jax
    import jax.numpy as jnp

    square = jnp.ones((1024, 1024))
    multiply = jax.jit(lambda x: x @ x)
    return lambda number: [multiply(square).block_until_ready() for _ in range(20)]


def available(server: Path) -> list[str]:
    """Those who can take part."""
    names = ["product", "openlamda"]
    if importlib.util.find_spec("transformers") and importlib.util.find_spec("torch"):
        names.append("transformers")
    if importlib.util.find_spec("gguf") and shutil.which(server):
        names.append("llama.cpp")
    return names


def main() -> None:
    name, server = sys.argv[1:]
    ways = {"openlamda": openlamda, "transformers": transformers, "product": product}
    draw = llama_cpp(server) if name == "llama.cpp" else ways[name]()
    for line in sys.stdin:
        began = time.perf_counter()
        draw(int(line))
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
