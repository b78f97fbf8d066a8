import os
import random

import pytest

from openlamda.text.tokenizer import Tokenizer, train


def pytest_configure(config: pytest.Config) -> None:
    """What was compiled once is not compiled again: by the other workers, by processes that tests start, the next time.

    Most of the time of these tests is XLA's.
    """
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    if "XLA_FLAGS" not in os.environ:  # less than half the time to compile; CI has the engine's as users have them, too
        os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
        from openlamda.engine import compiled  # jax, which reads these variables once

        compiled.ON_CPU.clear()


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A small tokenizer, trained on made-up lines."""
    rng = random.Random(0)
    words = "the river mountain is high long how who wrote book city blue tea likes and 1 2 3 4 5 6 7 8 9 0".split()
    lines = [" ".join(rng.choice(words) for _ in range(8)) for _ in range(400)]
    return train(lines, vocab_size=400)
