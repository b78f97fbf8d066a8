"""Run by test_split.py on eight simulated devices: the engine split over 2, 4 and 8 of them gives what one gives.

Tokens are the same, numbers are close; weights, keys and values lie in parts; devices exchange activations, rows of the
embedding and logits, never a weight.
"""

import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

from openlamda.engine import bulk, drawing, local, memory, reading, searching
from openlamda.engine.base import Sampling, TextTree
from openlamda.engine.lanes import CANDIDATES, Lane
from openlamda.engine.layered import Layered, layered
from openlamda.engine.local import LocalModel
from openlamda.engine.start import start
from openlamda.model import params as parameters
from openlamda.model import weights
from openlamda.model.config import ModelConfig
from openlamda.model.quantized import quantize
from openlamda.model.sharding import decode_mesh

# no axis is as long as another one, nor as what devices may exchange
CONFIG = ModelConfig(num_layers=2, d_model=48, num_heads=8, d_head=24, d_ff=320, vocab_size=1000)
CLOSE = 1e-4
BEAMS = 6
PREFIX = tuple(np.random.default_rng(0).integers(2, 1000, 200).tolist())
QUESTIONS = [(4,), (6, 7)]
TREES = [TextTree(PREFIX[:60], ((50, (7, 8)), (60, (5, 6, 7)))), TextTree((3, 4), ((2, (9,)),))]
EXCHANGE = re.compile(r" = (\(?[a-z].*?) (all-\w+|collective-\w+|reduce-scatter)(?:-start)?\(")
seen: set[tuple[str, str, str]] = set()  # (function, exchange, shape)


def spy(module, name: str) -> None:
    """Note what the compiled function has devices exchange."""
    launch = getattr(module, name)

    def call(*arguments, **options):
        if jax.tree.leaves(arguments)[0].sharding.num_devices > 1:
            text = launch.lower(*arguments, **options).compile().as_text()
            for shapes, exchange in EXCHANGE.findall(text):
                seen.update((name, exchange, shape) for shape in re.findall(r"\w+\[[\d,]*\]", shapes))
        return launch(*arguments, **options)

    setattr(module, name, call)


def answers(model: LocalModel):
    """Drawn tokens, and all numbers that the engine gives."""
    # a random number may lie so close to where one token ends that rounding decides; with this seed none does
    drawn = model.sample(PREFIX, 16, Sampling(max_tokens=20, stop=(1, 2, 3)), seed=5)
    found = model.sample(PREFIX, 2, Sampling(max_tokens=12, beams=BEAMS, context_block_ngram=3), seed=0)
    replies = [candidate.tokens for candidate in drawn]
    numbers = [
        [candidate.logprob for candidate in drawn],
        *model.score(PREFIX, [(5, 6, 7), (5, 8), PREFIX[:30]]),
        *model.rate(PREFIX, replies, QUESTIONS, 2, 3),
        *model.rate(PREFIX, [(9, 9, 9), ()], QUESTIONS, 2, 3),
        *model.rate_all(TREES, QUESTIONS, 2, 3, 4),
        [candidate.logprob for candidate in (*found, *model.sample(PREFIX[:150], 1, Sampling(max_tokens=5), seed=4))],
    ]
    return replies + [candidate.tokens for candidate in found], np.concatenate([np.asarray(row) for row in numbers])


def assert_alike(found, expected) -> None:
    assert found[0] == expected[0]
    np.testing.assert_allclose(found[1], expected[1], atol=CLOSE)


def assert_split(split: Layered, alone: Layered, devices: int) -> None:
    """Each device has its part of each matrix and of its scales, and no more; norms it has whole."""
    whole = {"norm_attention", "norm_ff", "norm_final", "out.scale", "down.scale"}
    for parts, expected in zip((split.top, *split.layers), (alone.top, *alone.layers), strict=True):
        for name, weight in parts.items():
            np.testing.assert_array_equal(weight, expected[name])
            part = weight.nbytes if name in whole else weight.nbytes // devices
            assert {shard.data.nbytes for shard in weight.addressable_shards} == {part}, name


def assert_heads_split(arrays, devices: int) -> None:
    for array in jax.tree.leaves(arrays):
        assert {shard.data.nbytes for shard in array.addressable_shards} == {array.nbytes // devices}, array.shape


def assert_no_weight_is_exchanged(groups: int) -> None:
    gathered = {entry for entry in seen if entry[1] != "all-reduce"}
    rows = {BEAMS, *CANDIDATES, *(groups * size for size in CANDIDATES)}
    logits = {("advance", "all-gather", f"f32[{each},{CONFIG.vocab_size}]") for each in rows}
    assert gathered and gathered <= logits, gathered
    for name, _, shape in seen - gathered:
        dims = [int(dim) for dim in shape[shape.index("[") + 1 : -1].split(",") if dim]
        assert dims[-1:] == [CONFIG.d_model] or len(dims) < 3, (name, shape)  # activations, embedding rows, logprobs
        assert not {CONFIG.num_heads, CONFIG.d_head, CONFIG.d_ff, CONFIG.vocab_size} & set(dims), (name, shape)


def main() -> None:
    jax.config.update("jax_default_matmul_precision", "highest")
    for module, name in (
        (drawing, "advance"),
        (searching, "advance"),
        *(
            (reading, name)
            for name in ("layer_of_tree", "last_of_tree", "grown", "layer_after_each", "normed", "gaps_of_rows")
        ),
        (local, "logprobs_of"),
        (bulk, "rate_row"),
    ):
        spy(module, name)
    floats = parameters.init(CONFIG, jax.random.key(0))
    for params in (floats, quantize(floats)):
        alone = layered(params, CONFIG)
        expected = answers(LocalModel(alone, CONFIG))
        for devices, groups in ((2, 1), (4, 4), (8, 2)):
            seen.clear()
            split = layered(
                {name: np.asarray(weight) for name, weight in params.items()}, CONFIG, decode_mesh(devices, CONFIG)
            )
            assert_split(split, alone, devices)
            first = [weight.addressable_shards[0].data.nbytes for weight in jax.tree.leaves(split)]
            kinds = {name: jax.ShapeDtypeStruct(weight.shape, weight.dtype) for name, weight in params.items()}
            needed = memory.needs(kinds, CONFIG, split.mesh, cache_bytes=2**20, groups=1, lanes=1)
            assert (needed.parts["weights"], needed.parts["caches"]) == (sum(first), 2**20 // devices)
            model = LocalModel(split, CONFIG, groups=groups)
            assert_alike(answers(model), expected)
            assert_no_weight_is_exchanged(groups)
            stages = [stage for lane in model._lanes._idle if isinstance(lane, Lane) for stage in lane._stages]
            caches = [cache.layers for (cache, _), _ in model._texts.whole._kept.values()]
            blocks = [block for _, _, block in model._texts.blocks._kept.values()]
            drawn = [part.own for parts, _ in model._drawn._kept.values() for part in parts]
            assert stages and caches and blocks and drawn
            lanes = [(stage.lane.own, stage.groups.prefix) for stage in stages]
            assert_heads_split([lanes, caches, blocks, drawn], devices)

    with tempfile.TemporaryDirectory() as folder:
        weights.save(Path(folder), floats, CONFIG, b"", "float32")
        model = start(Path(folder), devices=4)
        assert_split(model._weights, layered(floats, CONFIG), 4)
        with ThreadPoolExecutor(4) as threads:  # each device meets what is exchanged in the same order
            expected = answers(model)
            for found in threads.map(lambda _: answers(model), range(8)):
                assert_alike(found, expected)
    print("equal")


if __name__ == "__main__":
    main()
