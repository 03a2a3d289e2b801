"""What the helper answers when it does not do what was asked."""

import os


class Refusal(Exception):
    """`code` is one of `helper_wire.ERRORS`, `text` a sentence for the log and for people."""

    def __init__(self, code: str, text: str) -> None:
        """Keep both."""
        super().__init__(text)
        self.code = code
        self.text = text


def said(error: OSError) -> str:
    """What the system said, in its own words."""
    return error.strerror or (os.strerror(error.errno) if error.errno else type(error).__name__)
