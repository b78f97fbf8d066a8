"""Where tasks run: datatrove's executors, which also remember the tasks that are done.

`run` takes a function of (work directory, task number) and returns when all tasks are done, on this machine, Slurm or
Ray alike. On a cluster the work directory must be on a disk that all machines share.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError

from datatrove.executor.base import PipelineExecutor
from datatrove.executor.local import LocalPipelineExecutor
from loguru import logger

from openlamda.corpus.recipe import Engine
from openlamda.errors import UserError

Stage = Callable[[Path, int], None]
Progress = Callable[[str, int, int], None]


class _Local(LocalPipelineExecutor):
    """The local executor with another pool: its own waits for ever when the system kills a worker, and its helper
    processes outlive a build that is killed. Without its log lines, too: what goes wrong is raised.
    """

    def run(self) -> None:
        """Run what is left to do, in this process when there is one worker."""
        ranks = self.get_incomplete_ranks()
        if self.workers == 1:
            for rank in ranks:
                _run_rank(self, rank)
            return
        context = multiprocessing.get_context("forkserver")  # a fork of a process with threads may hang
        context.set_forkserver_preload(["openlamda.corpus.build"])
        with ProcessPoolExecutor(self.workers, context, _follow_parent) as pool:
            try:
                for _ in pool.map(partial(_run_rank, self), ranks):
                    pass
            except BaseException:
                for process in multiprocessing.active_children():
                    process.terminate()
                raise


def _run_rank(executor: LocalPipelineExecutor, rank: int) -> None:
    logger.disable("datatrove")
    executor._run_for_rank(rank)


def _follow_parent() -> None:
    """A worker ends with the build, however that ended; an interrupt is the build's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run(stage: Stage, work: Path, tasks: int, workers: int, engine: Engine, progress: Progress) -> None:
    """Run `stage` for tasks 0 to `tasks` - 1, those left out that an earlier run has done.

    Raises UserError when tasks did not finish: those that did are kept.
    """
    name = stage.__name__
    try:
        executor = _executor(stage, work, tasks, workers, engine)
    except (TypeError, ImportError) as error:  # an option that it does not know, or ray is not installed
        raise UserError(f"engine {engine.kind}: {error}") from None
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
    except BrokenProcessPool:
        raise UserError(f"{name}: the system ended a worker, perhaps for lack of memory; try fewer workers") from None
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
    return _Local(workers=min(workers, tasks), **common, **engine.options)


def _task(stage: Stage, work: Path, data: object, rank: int, world_size: int) -> None:
    stage(work, rank)
