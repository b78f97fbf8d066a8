"""openlamda: dialog systems by the LaMDA recipe. The names below are loaded when first used."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openlamda.dialog.lamda import Lamda as Lamda
    from openlamda.dialog.roles import Role as Role
    from openlamda.loading import load as load
    from openlamda.text.dialog import Dialog as Dialog
    from openlamda.tools.base import Toolset as Toolset

_FACE = {
    "Dialog": "openlamda.text.dialog",
    "Lamda": "openlamda.dialog.lamda",
    "Role": "openlamda.dialog.roles",
    "Toolset": "openlamda.tools.base",
    "load": "openlamda.loading",
}
__all__ = ["Dialog", "Lamda", "Role", "Toolset", "load"]


def __getattr__(name: str):
    if name not in _FACE:
        raise AttributeError(f"module 'openlamda' has no attribute {name!r}")
    return getattr(importlib.import_module(_FACE[name]), name)
