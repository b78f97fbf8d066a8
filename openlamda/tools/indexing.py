"""Files and folders into an index: only what is new or changed is read, what is gone is removed.

Takes paths and a store, gives counts. A folder is read as far as it reaches: links that lead out of it are not
followed. Knows nothing of formats (reading.py) and engines.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openlamda.errors import UserError
from openlamda.tools.layout import MARKER
from openlamda.tools.passages import Passage, Store
from openlamda.tools.reading import read, suffixes

COMMIT, SECONDS = 50_000, 30.0  # passages and time between two commits, about
READING = "1"  # changes when files are read otherwise, so that all are read again
BATCH = 500


@dataclass
class Progress:
    """What was done so far."""

    files: int = 0  # found, of a kind that is read
    read: int = 0
    unchanged: int = 0
    removed: int = 0  # no longer there
    refused: int = 0  # links that lead out of their folder
    skipped: int = 0  # of another kind
    passages: int = 0  # read
    committed: int = 0  # passages in the index at the last commit
    problems: list[tuple[str, str]] = field(default_factory=list)  # ("file:line", what was found and expected)


def update(store: Store, paths: Sequence[Path], tell: Callable[[Progress], None] = lambda progress: None) -> Progress:
    """Bring `store` up to date with files and folders; other sources stay. `tell` is called as the work goes on.

    A file of which something could not be read is read again the next time. Raises UserError for a path that is neither
    there nor in the store, or a file whose suffix is unknown.
    """
    work, known = _Work(store, tell), dict(store.stamps())
    progress = work.progress
    roots = [Path(os.path.abspath(path)) for path in paths]
    for root in roots:
        if not root.exists() and not any(Path(source).is_relative_to(root) for source in known):
            raise UserError(f"{root}: no such file or folder")
        if root.is_file() and not root.name.lower().endswith(suffixes()):
            raise UserError(f"{root}: suffix {root.suffix!r}, expected one of {', '.join(suffixes())}")
    unreadable: list[Path] = []
    files = dict.fromkeys(file for root in roots for file in _files(root, progress, unreadable))
    progress.files = len(files)
    for source in map(Path, known):
        gone = source not in files and any(source.is_relative_to(root) for root in roots)
        if gone and not any(source.is_relative_to(folder) for folder in unreadable):
            store.remove(str(source))
            progress.removed += 1
    for file in files:
        stamp = _stamp(file)
        if stamp and known.get(str(file)) == stamp:
            progress.unchanged += 1
            tell(progress)
        else:
            work.read(file, stamp)
    work.commit()
    return progress


class _Work:
    """Reading files into a store, with a commit from time to time."""

    def __init__(self, store: Store, tell: Callable[[Progress], None]):
        self.progress = Progress()
        self._store, self._tell = store, tell
        self._waiting, self._since = 0, time.monotonic()  # passages without a commit; the last one

    def read(self, file: Path, stamp: str) -> None:
        """Put a file into the store, in place of what that has of it."""
        source, before = str(file), len(self.progress.problems)
        self._store.remove(source)
        for batch in _batches(read(file, lambda where, what: self.progress.problems.append((where, what)))):
            self._store.add(source, batch)
            self.progress.passages += len(batch)
            self._waiting += len(batch)
            if self._waiting >= COMMIT:
                self.commit()
            self._tell(self.progress)
        self._store.finish(source, stamp if len(self.progress.problems) == before else "")
        self.progress.read += 1
        if time.monotonic() - self._since > SECONDS:
            self.commit()
        self._tell(self.progress)

    def commit(self) -> None:
        self._store.commit()
        self._waiting, self._since = 0, time.monotonic()
        self.progress.committed = len(self._store)
        self._tell(self.progress)


def _batches(passages: Iterator[Passage]) -> Iterator[list[Passage]]:
    batch = []
    for passage in passages:
        batch.append(passage)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _files(root: Path, progress: Progress, unreadable: list[Path]) -> Iterator[Path]:
    """The files to read under `root`, in order. Hidden ones, and those that are no plain files, are left out."""
    if not root.is_dir():
        if root.exists():
            yield root
        return
    real = root.resolve()

    def note(error: OSError) -> None:
        unreadable.append(Path(error.filename))
        progress.problems.append((str(error.filename), f"{error.strerror}, expected a folder that can be read"))

    for folder, folders, names in os.walk(root, onerror=note):
        here = Path(folder)
        for name in [name for name in folders if (here / name).is_symlink()]:
            progress.refused += not _inside(here / name, real)  # what it leads to inside is walked anyway
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not (here / name).is_symlink())
        if (here / MARKER).is_file():
            folders.clear()
            continue
        for name in sorted(names):
            path = here / name
            if name.startswith("."):
                continue
            if not _is_unicode(name):
                progress.problems.append((ascii(str(path)), "a name that is not UTF-8, expected one that is"))
            elif path.is_symlink() and not _inside(path, real):
                progress.refused += 1
            elif not name.lower().endswith(suffixes()) or not _plain(path):
                progress.skipped += 1
            else:
                yield path


def _inside(path: Path, folder: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(folder)
    except (OSError, RuntimeError):  # leads nowhere, or in a circle
        return False


def _is_unicode(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _stamp(path: Path) -> str:
    """What changes when a file does; "" where it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{READING} {status.st_size} {status.st_mtime_ns}"


def summary(progress: Progress) -> dict[str, int]:
    """The counts, for scripts."""
    counts = {name: value for name, value in vars(progress).items() if isinstance(value, int)}
    return counts | {"problems": len(progress.problems)}
