"""The dock agent: software for docking stations of body-worn cameras."""

__version__ = "0.1.0"
