"""Checkpoints of a run: the whole state, every so many steps, atomically (Orbax); the newest is resumed."""

from pathlib import Path

import jax
import orbax.checkpoint as ocp

from openlamda.train.step import State


class Checkpoints:
    """The checkpoints in a run directory; the last two are kept."""

    def __init__(self, directory: Path):
        options = ocp.CheckpointManagerOptions(max_to_keep=2, create=True, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(directory.absolute(), options=options)

    def save(self, state: State) -> None:
        """Write the state under its step."""
        self._manager.save(int(state.step), args=ocp.args.StandardSave(state._asdict()))

    def restore(self, like: State) -> State | None:
        """The newest saved state, shaped and placed as `like`; None where nothing was saved."""
        step = self._manager.latest_step()
        if step is None:
            return None
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like._asdict())
        return State(**self._manager.restore(step, args=ocp.args.StandardRestore(abstract)))

    def close(self) -> None:
        """Wait for what is being written."""
        self._manager.close()
