"""The first stage: the files of a task as clean rows, with the signatures that repetitions are found by.

Takes the plan, gives rows/, signatures/ and reports/ of the work directory; what cannot be read is reported and passed
over. Reading is formats.py's, cleaning clean.py's.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from openlamda.corpus import clean, formats, plan
from openlamda.corpus.files import row_writer, text_of, whole, write_json, write_row
from openlamda.corpus.minhash import signature
from openlamda.corpus.report import Report
from openlamda.corpus.rows import Document, Talk
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Turn


def gather(work: Path, task: int) -> None:
    """Read and clean the files of a task."""
    todo = plan.read(work)
    cleaned = _cleaner(todo.recipe.filters)
    report, folder = Report(), Path(todo.recipe.data).expanduser()
    with row_writer(work / f"rows/{task:05}.jsonl.gz") as rows, whole(work / f"signatures/{task:05}") as signatures:
        for file in todo.tasks[task].files:
            for row in _read(Path(file.path), report, folder):
                report.read += 1
                kept = cleaned(row)
                if isinstance(kept, str):
                    report.drop(kept, row)
                    continue
                report.masked += kept != row
                kept = _encodable(kept)
                write_row(rows, kept)
                signatures.write(signature(text_of(kept), todo.recipe.dedup.minhash).tobytes())
    write_json(work / f"reports/gather-{task:05}.json", report)


@cache
def _cleaner(filters: clean.Filters) -> Callable[[Document | Talk], Document | Talk | str]:
    return clean.make_cleaner(filters)


def _read(path: Path, report: Report, folder: Path) -> Iterator[Document | Talk]:
    """A row without an id is named by where its file lies in the data: files of one name are many."""
    name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""
    try:
        yield from formats.read(path, report.problem, name)
    except (OSError, UserError) as error:
        report.problem(str(path), str(error))


def _encodable(row: Document | Talk) -> Document | Talk:
    """The row with "?" for lone surrogates, which JSON can carry and UTF-8 cannot."""
    try:
        (row.id + text_of(row)).encode()
        return row
    except UnicodeEncodeError:
        if isinstance(row, Document):
            return Document(_scalars(row.id), _scalars(row.text))
        return Talk(_scalars(row.id), Dialog(tuple(Turn(t.author, _scalars(t.text)) for t in row.dialog.turns)))


def _scalars(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
