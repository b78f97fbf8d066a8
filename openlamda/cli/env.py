"""`openlamda env`."""

import json as jsonlib
import os
import platform
import re
import sys
from importlib import metadata


def env(*, json: bool = False) -> None:
    """Print versions and the machine, for a bug report.

    Parameters
    ----------
    json
        Print one object.
    """
    found = {"openlamda": metadata.version("openlamda"), "python": platform.python_version()}
    found |= {"system": platform.platform(), "cores": str(os.cpu_count()), "encoding": sys.stdout.encoding}
    for requirement in metadata.requires("openlamda") or ():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if name != "openlamda" and "'dev'" not in requirement:  # an extra may name another
            found[name] = _version(name)
    found["jaxlib"] = _version("jaxlib")  # comes with jax, and is what a crash is often about
    if json:
        print(jsonlib.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name:<16} {value}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
