"""Where tasks run: datatrove's executors, which also remember the tasks that are done.

`run` takes a function of (work directory, task number) and returns when all tasks are done, on this machine, Slurm or
Ray alike. On a cluster the work directory must be on a disk that all machines share.
"""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError

import multiprocess.context
from datatrove.executor.base import PipelineExecutor
from datatrove.executor.local import LocalPipelineExecutor
from loguru import logger

from openlamda.corpus.recipe import Engine
from openlamda.errors import UserError

Stage = Callable[[Path, int], None]
Progress = Callable[[str, int, int], None]


class _Local(LocalPipelineExecutor):
    """The local executor without its log lines: what goes wrong is raised, and the progress line is ours."""

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1):
        logger.disable("datatrove")
        return super()._run_for_rank(rank, local_rank, node_rank)


def run(stage: Stage, work: Path, tasks: int, workers: int, engine: Engine, progress: Progress) -> None:
    """Run `stage` for tasks 0 to `tasks` - 1, those left out that an earlier run has done.

    Raises UserError when tasks did not finish: those that did are kept.
    """
    name = stage.__name__
    executor = _executor(stage, work, tasks, workers, engine)
    finished = threading.Event()

    def done() -> int:
        return tasks - len(executor.get_incomplete_ranks(skip_completed=True))

    def watch() -> None:
        while not finished.wait(0.3):
            progress(name, done(), tasks)

    watcher = threading.Thread(target=watch, daemon=True)
    progress(name, done(), tasks)
    watcher.start()
    try:
        executor.run()
    except CalledProcessError as error:
        raise UserError(f"{name}: {error}, expected the scheduler to take the tasks") from None
    finally:
        finished.set()
        watcher.join()
    if done() < tasks:
        logs = work / "stages" / name
        raise UserError(f"{name}: {tasks - done()} of {tasks} tasks did not finish, {logs} says why")
    progress(name, tasks, tasks)


def _executor(stage: Stage, work: Path, tasks: int, workers: int, engine: Engine) -> PipelineExecutor:
    common = {
        "pipeline": [partial(_task, stage, work)],
        "tasks": tasks,
        "logging_dir": str(work / "stages" / stage.__name__),
    }
    if engine.kind == "slurm":
        from datatrove.executor.slurm import SlurmPipelineExecutor

        wait = {"wait": "", **engine.options.get("sbatch_args", {})}  # sbatch returns when the tasks are done
        options = {"job_name": f"corpus-{stage.__name__}", **engine.options, "sbatch_args": wait}
        return SlurmPipelineExecutor(workers=workers, **common, **options)
    if engine.kind == "ray":
        from datatrove.executor.ray import RayPipelineExecutor

        return RayPipelineExecutor(workers=workers, **common, **engine.options)
    logger.disable("datatrove")
    context = multiprocess.context._default_context  # whose methods the package has as functions, at run time only
    context.set_start_method("forkserver", force=True)  # a fork of a process with threads may hang
    context.set_forkserver_preload(["openlamda.corpus.build"])
    return _Local(workers=min(workers, tasks), **common, **engine.options)


def _task(stage: Stage, work: Path, data: object, rank: int, world_size: int) -> None:
    stage(work, rank)
