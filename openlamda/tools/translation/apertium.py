"""Apertium, a rule-based translator that runs on this machine, as a command with bounds on time and size.

Debian and Ubuntu have it as packages: `apertium` and one a pair of languages. It marks what it does not know, and a
translation with such words in it is none, names aside.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Collection
from functools import cached_property

from openlamda.errors import UserError
from openlamda.tools.translation.base import TWO_LETTERS, Pair

PACKAGES = {
    ("en", "es"): "apertium-eng-spa",
    ("en", "ca"): "apertium-eng-cat",
    ("en", "gl"): "apertium-en-gl",
    ("eo", "en"): "apertium-eo-en",
    ("eu", "en"): "apertium-eu-en",
    ("is", "en"): "apertium-isl-eng",
    ("mk", "en"): "apertium-mkd-eng",
    ("fr", "es"): "apertium-fr-es",
    ("fr", "ca"): "apertium-fra-cat",
    ("es", "it"): "apertium-spa-ita",
    ("es", "pt"): "apertium-es-pt",
    ("es", "ca"): "apertium-spa-cat",
    ("sv", "da"): "apertium-swe-dan",
}  # Debian's, one or both ways
TIMEOUT = 5.0  # seconds
MAX_OUTPUT = 64 * 1024  # bytes
_MODE = re.compile(r"\s*([a-z]{2,3})-([a-z]{2,3})\s*")
_MARKED = re.compile(r"(?<![^\W_])([*@#])(\w[\w'’-]*)")


class Apertium:
    """The pairs of languages that are installed; none where the command is missing."""

    name = "apertium"

    def __init__(self, command: str = "apertium", timeout: float = TIMEOUT):
        self._command = shutil.which(command)
        self._timeout = timeout

    @cached_property
    def _modes(self) -> dict[Pair, str]:
        if self._command is None:
            return {}
        modes = {}
        for line in self._run(["-l"], "").splitlines():
            match = _MODE.fullmatch(line)
            if match and match[1] in TWO_LETTERS and match[2] in TWO_LETTERS:
                modes[TWO_LETTERS[match[1]], TWO_LETTERS[match[2]]] = f"{match[1]}-{match[2]}"
        return modes

    @property
    def is_installed(self) -> bool:
        """Whether the command is there."""
        return self._command is not None

    def pairs(self) -> Collection[Pair]:
        """The installed pairs, each way by itself."""
        return self._modes

    def translate(self, text: str, source: str, target: str) -> str | None:
        """The translation, or None where a word of it is unknown."""
        mode = self._modes.get((source, target))
        if mode is None:
            return None
        found = " ".join(self._run([mode], text + "\n").split())
        if any(sign != "*" or not word[0].isupper() for sign, word in _MARKED.findall(found)):
            return None
        plain = _MARKED.sub(r"\2", found)
        return plain if plain.casefold() != text.casefold() else None

    def _run(self, arguments: list[str], text: str) -> str:
        """What the command prints. It is a pipeline of programs, so all of its group is ended when the time is over."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        assert self._command is not None
        with subprocess.Popen(
            [self._command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(text.encode(), timeout=self._timeout)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise UserError(f"apertium {' '.join(arguments)}: no answer within {self._timeout:g} seconds") from None
        if process.returncode and text:
            raise UserError(f"apertium {' '.join(arguments)}: exit code {process.returncode}")
        if len(output) > MAX_OUTPUT:
            raise UserError(f"apertium {' '.join(arguments)}: more than {MAX_OUTPUT:,} bytes")
        return output.decode(errors="replace")
