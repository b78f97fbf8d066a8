"""Lines of a file, packed (.gz, .xz, .zst) or not: what can be read is given, the rest is reported.

Takes a path, gives numbered bytes, each line within a bound. Knows nothing of what the lines mean.
"""

import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from openlamda.errors import UserError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Report = Callable[[str, str], None]
"""Takes ("file:line", "what was found, what was expected")."""

MAX_ROW = 32 * 2**20  # bytes of one line, record or page


def read_lines(path: Path, report: Report, most: int | None = None) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line) of `path`; a byte order mark is left out, lines above MAX_ROW are reported.

    A file that breaks off, is damaged or unpacks to more than `most` bytes is read up to there. Raises UserError when
    there is none.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    number = 0
    try:
        with open_packed(path) as file:
            size = 0
            while line := file.readline(MAX_ROW + 1):
                number += 1
                size += len(line)
                if most is not None and size > most:
                    raise OSError(f"unpacks to more than {most:,} bytes")
                if number == 1:
                    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                        report(f"{path}:1", "UTF-16, expected UTF-8; nothing of the file is read")
                        return
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if len(line) > MAX_ROW and not line.endswith(b"\n"):
                    rest = _skip_line(file, None if most is None else most - size)
                    size += rest
                    report(f"{path}:{number}", f"a line of {len(line) + rest:,} bytes, expected at most {MAX_ROW:,}")
                else:
                    yield number, line
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        what = getattr(error, "strerror", None) or error
        report(f"{path}:{number + 1}", f"{what}, expected a whole file; nothing after line {number} is read")


def open_packed(path: Path) -> io.BufferedIOBase:
    """`path` for reading, unpacked by its suffix. Raises UserError where zstandard is wanted and missing."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    if path.suffix.lower() == ".xz":
        return lzma.open(path, "rb")
    if path.suffix.lower() == ".zst":
        return io.BufferedReader(_Zstd(path))
    return open(path, "rb")


def _skip_line(file: io.BufferedIOBase, most: int | None) -> int:
    size = 0
    while part := file.readline(2**20):
        size += len(part)
        if part.endswith(b"\n") or (most is not None and size > most):
            break
    return size


class _Zstd(io.RawIOBase):
    """Unpacked zstd frames. zstandard's own reader takes a file that breaks off for a whole one."""

    def __init__(self, path: Path):
        self._file = path.open("rb")
        self._frame = None
        self._packed, self._ready = b"", memoryview(b"")
        try:
            import zstandard
        except ModuleNotFoundError:
            raise UserError(f"{path}: needs zstandard: pip install 'openlamda[corpus]'") from None
        self._error, self._unpacker = zstandard.ZstdError, zstandard.ZstdDecompressor()

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        while not self._ready:
            # 4 kB become 128 MB at most (blocks of one repeated byte)
            packed = self._packed or self._file.read(4096)
            if not packed:
                if self._frame is not None:
                    raise EOFError("zstd frame ended before its end")
                return 0
            if self._frame is None:
                self._frame = self._unpacker.decompressobj()
            try:
                self._ready = memoryview(self._frame.decompress(packed))
            except self._error as error:
                raise OSError(str(error)) from None
            self._packed = b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._ready))
        view[:size], self._ready = self._ready[:size], self._ready[size:]
        return size
