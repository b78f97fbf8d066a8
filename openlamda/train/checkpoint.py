"""Checkpoints of a run: the whole state, every so many steps, atomically (Orbax); the newest whole one is resumed."""

import errno
import logging
import shutil
from pathlib import Path

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from openlamda.errors import UserError
from openlamda.train.step import State

LACKING = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM)


def abstract(state: State) -> State:
    """Shapes, dtypes and places of a state, without its arrays."""
    return jax.tree.map(ocp.utils.to_shape_dtype_struct, state)


def _of_the_machine(error: Exception) -> bool:
    """Whether an error says nothing of the file that was read: the next start may read it."""
    lacking = isinstance(error, OSError) and error.errno in LACKING
    return lacking or isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


class Checkpoints:
    """The checkpoints in a run directory: the last few, the best, and one every so many hours.

    They are written while the run goes on, by all of its hosts.
    """

    def __init__(self, directory: Path, keep_last: int = 2, keep_hours: float = 0):
        self._directory = directory.absolute()
        kept: list[policies.PreservationPolicy] = [
            policies.LatestN(keep_last),
            policies.BestN(
                get_metric_fn=lambda metrics: -metrics["validation_loss"], n=1, keep_checkpoints_without_metrics=False
            ),
        ]
        if keep_hours:
            kept.append(policies.EveryNSeconds(int(keep_hours * 3600)))
        options = ocp.CheckpointManagerOptions(preservation_policy=policies.AnyPreservationPolicy(kept), create=True)
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def save(self, state: State, validation_loss: float | None = None) -> None:
        """Write the state under its step; the least validation loss is the best."""
        metrics = None if validation_loss is None else {"validation_loss": validation_loss}
        self._manager.save(int(state.step), args=ocp.args.StandardSave(state._asdict()), metrics=metrics)

    def best(self) -> float:
        """The least validation loss of a kept checkpoint, infinity where there is none."""
        found = (self._manager.metrics(step) for step in self._manager.all_steps())
        return min((metrics["validation_loss"] for metrics in found if metrics), default=float("inf"))

    @property
    def there(self) -> bool:
        """Whether something was saved, be it broken."""
        return bool(self._manager.all_steps()) or any(self._directory.glob("*.broken"))

    def restore(self, like: State) -> State:
        """The newest saved state that can be read, shaped and placed as `like` (`abstract`), on whatever mesh it was
        saved.

        One that cannot be read is named, put aside as STEP.broken, and the one before is taken. Raises UserError where
        none can be read, and what the machine lacks, such as memory.
        """
        for step in sorted(self._manager.all_steps(), reverse=True):
            path = self._directory / str(step)
            try:
                return State(**self._manager.restore(step, args=ocp.args.StandardRestore(like._asdict())))
            except Exception as error:  # Orbax raises a dozen kinds for files that are cut, missing or foreign
                if _of_the_machine(error):
                    raise
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                logging.getLogger(__name__).warning("%s cannot be read (%s); put aside", path, reason)
                aside = path.with_name(f"{step}.broken")
                shutil.rmtree(aside, ignore_errors=True)
                path.rename(aside)
                self._manager.reload()
        raise UserError(f"{self._directory}: no checkpoint can be read, expected those of this recipe's model")

    def close(self) -> None:
        """Wait for what is being written."""
        self._manager.close()
