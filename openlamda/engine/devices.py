"""What computes on this machine, as JAX sees it, and what it does not see although it is there."""

import shutil
from pathlib import Path

import jax

# where a driver shows a device -> the platform of JAX for it, and the package that brings it
_DRIVERS = {
    "/dev/nvidia0": ("gpu", "jax[cuda13]"),
    "/dev/accel0": ("tpu", "jax[tpu]"),
    "/dev/vfio/0": ("tpu", "jax[tpu]"),
}


def seen() -> list[str]:
    """The kinds of JAX's devices, one a device."""
    return [device.device_kind if device.platform != "cpu" else "CPU" for device in jax.local_devices()]


def unseen() -> str | None:
    """The package that JAX lacks for a device whose driver is here."""
    platforms = {device.platform for device in jax.local_devices()}
    for path, (platform, package) in _DRIVERS.items():
        is_here = Path(path).exists() or (platform == "gpu" and shutil.which("nvidia-smi") is not None)
        if is_here and platform not in platforms:
            return package
    return None
