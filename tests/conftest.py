import random

import pytest

from openlamda.text.tokenizer import Tokenizer, train


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A small tokenizer, trained on made-up lines."""
    rng = random.Random(0)
    words = "the river mountain is high long how who wrote book city blue tea likes and 1 2 3 4 5 6 7 8 9 0".split()
    lines = [" ".join(rng.choice(words) for _ in range(8)) for _ in range(400)]
    return train(lines, vocab_size=400)
