"""A camera as a USB device of the test's own, plugged into the lab's machine; see `camera.py`."""

from tests.lab.camera.camera import ScriptedCamera
from tests.lab.camera.identity import Identity

__all__ = ["Identity", "ScriptedCamera"]
