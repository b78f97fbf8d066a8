"""Rows of a Parquet file as objects, a row group at a time; a damaged group or row is reported, the rest is read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openlamda.corpus.lines import Report
from openlamda.errors import UserError

_BATCH = 256


def read_objects(path: Path, report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number from 1, column -> value) of each row. Raises UserError where pyarrow is missing."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise UserError(f"{path}: needs pyarrow: pip install 'openlamda[corpus]'") from None
    broken = (pa.ArrowException, OSError, ValueError, OverflowError)  # ValueError: no UTF-8, a date out of range
    try:
        file = parquet.ParquetFile(path)
    except broken as error:
        report(str(path), f"{_first_line(error)}, expected a Parquet file")
        return
    with file:
        begin = 1
        for group in range(file.num_row_groups):
            number = begin
            begin += file.metadata.row_group(group).num_rows
            try:
                for batch in file.iter_batches(_BATCH, row_groups=[group]):
                    for row in range(batch.num_rows):
                        try:
                            (value,) = batch.slice(row, 1).to_pylist()
                        except broken as error:
                            report(f"{path}:{number}", f"{_first_line(error)}, expected a row of text")
                        else:
                            yield number, value
                        number += 1
            except broken as error:
                report(f"{path}:{number}", f"{_first_line(error)}; rows {number:,} to {begin - 1:,} are not read")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
