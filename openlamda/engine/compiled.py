"""Functions compiled for fixed shapes, kept on disk as machine code: a later start neither traces nor compiles them.

JAX's own cache keeps what is compiled, too, but finds it by the lowered code, which takes as long to make as all else
that a start does. Here the shapes of the arguments name it, with everything that the code is made from. Functions of
one CPU device alone; elsewhere, and where JAX's cache is set, they are as under `jax.jit`: XLA cannot write again what
was loaded from there (the file lacks functions, which is found out only when it runs).
"""

import hashlib
import os
import pickle
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache, partial, update_wrapper
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import jax
from jax.core import Tracer
from jax.experimental import serialize_executable

Code = jax.stages.Compiled
SOURCES = ("engine", "model")  # folders of the package that decide what is computed
AT_START = 24  # functions that are loaded before they are called: those that were the first to be compiled
ON_CPU = {"xla_backend_optimization_level": 1}  # with 3 a start compiles a fifth longer, for no speed
UNUSED_DAYS = 30  # after which code of other versions, or of another CPU, is removed
_folder: Path | None = None
_functions: dict[str, "Compiled"] = {}


def compiled_folder() -> Path | None:
    """Where compiled code is kept: in the user's cache folder, if there is one."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openlamda" / "compiled"
    except RuntimeError:  # no home, as in some containers
        return None


def keep_compiled(model: Hashable) -> None:
    """Keep compiled code of models of a shape, so that the next start is quick."""
    folder = compiled_folder()
    if folder is None or keep_in(folder, model):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def keep_in(folder: Path, model: Hashable) -> bool:
    """Keep what is compiled from now on, for models of one shape, in a folder, and take what is there; False where that
    is not for this device.
    """
    global _folder
    fits = jax.default_backend() == "cpu" and jax.device_count() == 1
    _folder = folder / made_from() / named(model) if fits else None
    if _folder:
        threading.Thread(target=load_first, args=(_folder,)).start()
        with suppress(OSError):
            remove_unused(folder, made_from())
    return fits


def remove_unused(folder: Path, used: str) -> None:
    """Remove what nobody has used for UNUSED_DAYS, but not the folder named `used`, which is used now."""
    (folder / used).mkdir(parents=True, exist_ok=True)
    os.utime(folder / used)
    for other in folder.iterdir():
        if len(other.name) == len(used) and time.time() - other.stat().st_mtime > UNUSED_DAYS * 86400:
            shutil.rmtree(other, ignore_errors=True)


def load_first(folder: Path) -> None:
    """Load what was compiled first in a folder, which a start is likely to need, in the order of that."""
    for path in sorted(folder.glob("*-*"), key=lambda path: path.stat().st_mtime_ns)[:AT_START]:
        function = _functions.get(path.name.split("-")[0])
        if not threading.main_thread().is_alive():
            return  # the process ends, which must not meet XLA at work
        if function:
            with suppress(Exception), path.open("rb") as file:
                function.take(pickle.load(file), partial(_code, file))


@lru_cache(maxsize=1)
def made_from() -> str:
    """A name for all that decides a function's machine code but its arguments' shapes: our code, JAX, this CPU."""
    parts = [version("jax"), version("jaxlib"), os.environ.get("XLA_FLAGS", ""), str(jax.config.read("jax_enable_x64"))]
    package = Path(__file__).parent.parent
    for path in sorted(path for name in SOURCES for path in (package / name).glob("*.py")):
        parts.append(hashlib.sha256(path.read_bytes()).hexdigest())
    cpu = Path("/proc/cpuinfo")
    if cpu.is_file():
        parts += [line for line in cpu.read_text().split("\n\n")[0].splitlines() if line.startswith(("flags", "model"))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


class Compiled:
    """A function of arrays, compiled for each shape of them that it is called with. Arguments named in `static` are
    given by name and compiled in; those in `donate` give their memory to the results.
    """

    def __init__(self, function: Callable[..., Any], static: Sequence[str], donate: Sequence[str]):
        update_wrapper(self, function)
        self._name = f"{function.__module__}.{function.__name__}"
        names: dict[str, Any] = {"static_argnames": static, "donate_argnames": donate}
        self._jit, self._on_cpu = jax.jit(function, **names), jax.jit(function, **names, compiler_options=ON_CPU)
        self.lower = self._jit.lower
        self._lock = threading.Lock()
        self._found: dict[Hashable, Future[Code | None]] = {}
        _functions[self._name] = self

    def __call__(self, *args: Any, **static: Any) -> Any:
        """As the function itself; where shapes stand for arrays, as `prepare`."""
        folder, leaves = _folder, jax.tree.leaves(args)
        if jax.default_backend() != "cpu" or any(isinstance(leaf, Tracer) for leaf in leaves):
            return self._jit(*args, **static)
        if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves):
            return self.prepare(*args, **static)
        if folder is None or jax_keeps_in():
            return self._on_cpu(*args, **static)
        return self._made(folder, args, static)(*args)

    def prepare(self, *args: Any, **static: Any) -> Any:
        """The shapes of what it gives; its code is made or loaded and nothing is computed. Only where code is kept."""
        assert _folder
        return self._made(_folder, args, static).out_info

    def _made(self, folder: Path, args: Sequence[Any], static: dict[str, Any]) -> Code:
        leaves, tree = jax.tree.flatten(args)
        key = tree, tuple(static.items()), tuple([(leaf.shape, leaf.dtype) for leaf in leaves])
        code = None
        while code is None:
            found = self._found.get(key)
            if found is None or not found.done():
                found = self.take(key, lambda: self._kept(folder / f"{self._name}-{named(key)}", key, args, static))
            code = found.result()
        return code

    def take(self, key: Hashable, make: Callable[[], Code | None]) -> Future[Code | None]:
        """What is found for a key, or made now, by one thread alone; None where it made nothing."""
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                return found
            found = self._found[key] = Future()
        try:
            code = make()
            if code is None:
                del self._found[key]
            found.set_result(code)
        except BaseException as error:
            del self._found[key]
            found.set_exception(error)
        return found

    def _kept(self, path: Path, key: Hashable, args: Sequence[Any], static: dict[str, Any]) -> Code:
        with suppress(OSError), path.open("rb") as file:
            if (code := _code(file, 2)) is not None:
                return code
        made = self._on_cpu.lower(*args, **static).compile()
        with suppress(Exception):  # a later start without it is only slower
            write(path, pickle.dumps(key) + pickle.dumps(serialize_executable.serialize(made)))
        return made


def compiled(*, static: Sequence[str] = (), donate: Sequence[str] = ()) -> Callable[[Callable[..., Any]], Compiled]:
    """A decorator that makes a function a `Compiled` one."""
    return lambda function: Compiled(function, static, donate)


def keeps() -> bool:
    """Whether code is kept here."""
    return _folder is not None and not jax_keeps_in()


def jax_keeps_in() -> str | None:
    """The folder of JAX's own cache, if it is set."""
    return getattr(jax.config, "jax_compilation_cache_dir")  # noqa: B009, no attribute that type checkers know


def _code(file: IO[bytes], parts: int = 1) -> Code | None:
    """What the last of so many parts of a file holds; None where it is of no use: it is made anew."""
    try:
        *_, stored = [pickle.load(file) for _ in range(parts)]
        return serialize_executable.deserialize_and_load(*stored)
    except Exception:
        return None


def named(key: Hashable) -> str:
    """A file's name for what a function was compiled for."""
    return hashlib.sha256(repr(key).encode()).hexdigest()[:24]


def write(path: Path, data: bytes) -> None:
    """Whole or not at all. OSError where the folder takes no file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.replace(file.name, path)
        except OSError:
            os.unlink(file.name)
            raise
