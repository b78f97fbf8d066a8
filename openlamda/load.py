"""Where the parts meet: a model directory becomes a `Lamda` that replies."""

from pathlib import Path

from openlamda.corpus.rows import held_back

SHIPPED = Path(__file__).parent / "nano"


def training_names() -> list[str]:
    """Names of the bundled knowledge that made training rows may use: those that no evaluation asks about."""
    names = set()
    for path in sorted((Path(__file__).parent / "tools" / "knowledge").glob("*.tsv")):
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        names.update(line.split("\t")[0] for line in lines)
    return sorted(name for name in names if name and not held_back(name, percent=25))
