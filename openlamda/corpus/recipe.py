"""A corpus on one page: the sources, what is dropped, how much of each, how it is packed, where it runs.

Read from TOML with `openlamda.config.load`; `check` finds what no single field can show.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from openlamda.corpus.clean import Filters
from openlamda.errors import UserError

PRESETS = {
    "lamda": {  # LaMDA, appendix E
        "dialogs": 0.5,  # public forums
        "c4": 0.125,
        "code": 0.125,  # programming Q&A sites, tutorials
        "wikipedia": 0.125,  # English
        "web": 0.0625,  # English
        "non-english": 0.0625,  # web
    }
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Files that are counted, and weighed in the mixture, together."""

    name: str
    paths: tuple[str, ...]  # files, folders (everything in them that can be read) and globs
    share: float = 0.0  # of the tokens; only the method "shares" looks at it


@dataclass(frozen=True, kw_only=True)
class Dedup:
    """What counts as said before; the first in the order of sources and files stays."""

    exact: bool = True  # the same words, whatever their case, spacing and punctuation
    minhash: bool = True
    threshold: float = 0.8  # Jaccard similarity of the sets of five-word runs


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """How many tokens of each source (T5, section 3.5.2, and LaMDA's named shares)."""

    method: Literal["shares", "proportional", "temperature", "equal"] = "proportional"
    preset: Literal["", "lamda"] = ""  # shares by the names of the sources
    cap: int = 0  # proportional, temperature: a source weighs as if it had at most so many tokens; 0: as it is
    temperature: float = 1.0  # weights to the power of 1 / temperature
    tokens: int = 0  # at most so many in all; 0: as many as `epochs` allows
    epochs: float = 1.0  # no source more often than so; 0: as often as `tokens` needs


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Where the tasks run: datatrove's executor, given `options` as they are (partition, time, ...)."""

    kind: Literal["local", "slurm", "ray"] = "local"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One corpus. Paths are relative to the working directory, those of sources to `data`."""

    source: tuple[Source, ...]
    data: str = "."
    tokenizer: str = ""  # a SentencePiece model; empty: the shipped one
    seed: int = 0
    row_tokens: int = 1024
    shard_rows: int = 16_384  # about so many a shard
    held_back_percent: int = 5  # rows kept for evaluation by the hash of their id (corpus/rows.py)
    validation_percent: int = 1  # of the tokens, to choose checkpoints by: in a file of their own, one shard at most
    filters: Filters = field(default_factory=Filters)
    dedup: Dedup = field(default_factory=Dedup)
    mixture: Mixture = field(default_factory=Mixture)
    engine: Engine = field(default_factory=Engine)

    def shares(self) -> dict[str, float]:
        """Source -> share of the tokens, for the method "shares"; a preset's missing names leave theirs to the rest."""
        if not self.mixture.preset:
            return {source.name: source.share for source in self.source}
        preset = PRESETS[self.mixture.preset]
        found = {source.name: preset[source.name] for source in self.source}
        return {name: share / sum(found.values()) for name, share in found.items()}

    def check(self) -> None:
        """Raises UserError for a recipe that cannot be built."""
        mixture, names = self.mixture, [source.name for source in self.source]
        repeated = [name for name, count in Counter(names).items() if count > 1]
        _expect(bool(names), "source", "none", "one or more [[source]] tables")
        _expect(not repeated, "source", f"{repeated} more than once", "a name for each")
        for source in self.source:
            _expect(bool(source.name and source.paths), "source", f"{source.name!r} without paths", "a name and paths")
        _expect(2 <= self.row_tokens <= 65_535, "row_tokens", self.row_tokens, "2 to 65535")
        _expect(self.shard_rows >= 1, "shard_rows", self.shard_rows, "1 or more")
        _expect(0 <= self.held_back_percent < 100, "held_back_percent", self.held_back_percent, "0 to 99")
        _expect(0 <= self.validation_percent < 100, "validation_percent", self.validation_percent, "0 to 99")
        _expect(0.7 <= self.dedup.threshold <= 1, "dedup.threshold", self.dedup.threshold, "0.7 to 1")
        _expect(mixture.temperature > 0, "mixture.temperature", mixture.temperature, "more than 0")
        numbers = (mixture.cap, mixture.tokens, mixture.epochs)
        _expect(min(numbers) >= 0, "mixture", f"cap, tokens, epochs {numbers}", "0 or more")
        _expect(bool(mixture.tokens or mixture.epochs), "mixture", "no limit", "tokens, epochs or both")
        if mixture.preset:
            known = PRESETS[mixture.preset]
            other = [name for name in names if name not in known]
            _expect(mixture.method == "shares", "mixture.preset", f"method {mixture.method!r}", "method 'shares'")
            _expect(not other, "mixture.preset", f"sources {other}", f"only {', '.join(known)}")
        if mixture.method == "shares":
            shares = self.shares().values()
            good = abs(sum(shares) - 1) < 1e-6 and min(shares) > 0
            _expect(good, "source.share", f"a sum of {sum(shares):g}", "positive shares that sum to 1")


def _expect(good: bool, key: str, found: Any, expected: str) -> None:
    if not good:
        raise UserError(f"corpus recipe: {key}: {found}, expected {expected}")
