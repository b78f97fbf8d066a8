"""`openlamda data show`."""

import re
from collections import Counter
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.text import Text

from openlamda import config
from openlamda.corpus.readers import read_jsonl
from openlamda.errors import UserError
from openlamda.text.grammar import Sequence
from openlamda.text.tokenizer import Symbol, Tokenizer
from openlamda.train.recipe import Recipe
from openlamda.train.sources import rated_rows, sources


def show(
    recipe: Path,
    *overrides: str,
    stage: str = "",
    examples: int = 2,
    sample: int = 200,
    against: list[Path] | None = None,
) -> None:
    """Print training sequences of every task of a recipe; what is learned is bright, what is only read is dim.

    Parameters
    ----------
    recipe
        A TOML file (see recipes/).
    overrides
        Settings changed, as key=value (data=DIR).
    stage
        Of a recipe of several stages, the one to show.
    examples
        So many sequences of each task.
    sample
        Count tokens and duplicates over so many sequences of each task.
    against
        Evaluation files (JSON Lines with "question" or "response"): count sequences in which one of those stands.
    """
    from openlamda.loading import SHIPPED, training_names

    settings = _settings(recipe, overrides, stage)
    path = Path(settings.tokenizer) if settings.tokenizer else SHIPPED / "tokenizer.model"
    if not 0 <= examples <= sample or sample < 1:
        raise UserError(f"examples {examples}, sample {sample}: expected 0 <= examples <= sample, and one or more")
    tokenizer = Tokenizer.load(path)
    made = sources(
        settings.mixture,
        Path(settings.data).expanduser(),
        tokenizer,
        settings.row_tokens,
        settings.seed,
        training_names(),
        settings.subword_regularisation,
        settings.filtered,
        rated_rows(settings),
    )
    console = Console(soft_wrap=True, highlight=False)
    asked = {_plain(text) for path in against or () for row in read_jsonl(path) for text in _texts(row)}
    for task, source in made.items():
        seen = list(islice(source, sample))
        counts = Counter(sequence.tokens for sequence in seen)
        tokens = sum(len(sequence.tokens) for sequence in seen)
        learned = sum(sum(sequence.learned) for sequence in seen)
        console.rule(
            f"{task}: share {settings.mixture[task]:.0%}, {tokens / len(seen):.0f} tokens a sequence, "
            f"{learned / tokens:.0%} learned, {len(seen) - len(counts)} duplicates in {len(seen)}"
            + (f", {sum(_stands_in(s, asked, tokenizer) for s in seen)} in evaluation files" if against else "")
        )
        for sequence in seen[:examples]:
            console.print(render(sequence, tokenizer))


def _settings(recipe: Path, overrides: tuple[str, ...], stage: str) -> Recipe:
    """A recipe of one stage, or one stage of several. Raises UserError for one that has no mixture."""
    from openlamda import stages

    if "stage" in config.read(recipe):
        found = {each.name: each.work for each in stages.read(recipe, overrides, Path("runs") / recipe.stem)}
        mixed = [name for name, work in found.items() if isinstance(work, Recipe) and work.mixture]
        if stage not in mixed:
            raise UserError(f"{recipe}: --stage {stage!r}, expected one with a mixture: {', '.join(mixed)}")
        settings = found[stage]
        assert isinstance(settings, Recipe)
    else:
        settings = config.load(Recipe, recipe, overrides)
        if stage:
            raise UserError(f"{recipe}: --stage {stage!r}, expected none: the recipe is one stage")
        if not settings.mixture:
            raise UserError(f"{recipe}: no mixture, expected one; `openlamda corpus show` tells of shards")
    return settings


def _texts(row: dict) -> list[str]:
    return [row[field] for field in ("question", "response") if isinstance(row.get(field), str)]


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.casefold()).strip()


def _stands_in(sequence: Sequence, asked: set[str], tokenizer: Tokenizer) -> bool:
    """Whether a stretch of text between two control symbols is one of the evaluation's texts."""
    stretches, current = [], []
    for token in (*sequence.tokens, Symbol.EOS):
        if not tokenizer.is_symbol(token):
            current.append(token)
        elif current:
            stretches.append(current)
            current = []
    return any(_plain(tokenizer.decode(stretch)) in asked for stretch in stretches)


def render(sequence: Sequence, tokenizer: Tokenizer) -> Text:
    """A sequence as text: learned tokens bold, read ones dim, symbols in brackets."""
    text = Text()
    for token, learned in zip(sequence.tokens, sequence.learned, strict=True):
        symbol = tokenizer.is_symbol(token)
        shown = f" [{tokenizer.piece(token)}] " if symbol else tokenizer.piece(token).replace("▁", " ")
        text.append(shown, style=("bold green" if learned else "dim") + (" reverse" if symbol else ""))
    return text
