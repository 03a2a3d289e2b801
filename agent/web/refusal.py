"""What a client is told when it does not get what it asked for."""


class Refusal(Exception):
    """An answer that is no success: `error` says what happened and to what, `hint` what to do next."""

    def __init__(self, status: int, error: str, hint: str = "") -> None:
        """`status` is the HTTP status; both texts are shown to the client, so they hold nothing internal."""
        super().__init__(error)
        self.status = status
        self.error = error
        self.hint = hint
