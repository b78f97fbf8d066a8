"""The metrics of a run: JSON Lines and TensorBoard, written by one host; a resumed run leaves no line twice or cut."""

import json
import os
from pathlib import Path

from tensorboardX import SummaryWriter

CURVES = ("loss", "validation_loss", "copied", "grad_norm", "skipped", "tokens_per_second", "share_of_peak")


class Log:
    """`metrics.jsonl` and `tensorboard/` of a run directory, opened at the step the run goes on from."""

    def __init__(self, directory: Path, first: int):
        path = directory / "metrics.jsonl"
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= first]
        temporary = path.with_name("metrics.jsonl.tmp")
        temporary.write_text("".join(kept))
        os.replace(temporary, path)
        self._file = path.open("a")
        self._board = SummaryWriter(str(directory / "tensorboard"), purge_step=first + 1)

    def write(self, values: dict[str, float]) -> None:
        """Add the values of one step."""
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()
        for name in CURVES:
            if name in values:
                self._board.add_scalar(name, values[name], int(values["step"]))

    def close(self) -> None:
        """Write what is still held."""
        self._file.close()
        self._board.close()


def _lines(path: Path) -> list[str]:
    """Whole lines; the last one is cut where a run was killed while it wrote."""
    text = path.read_text() if path.exists() else ""
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
