"""Running another program of the system: by its argument list, with an empty environment and bounded in time."""

import subprocess
from dataclasses import dataclass

from agent.helper.refusal import Refusal, said

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended; `text` is what it had to say last."""

    code: int
    text: str


def run(*arguments: str, within_s: float) -> Outcome:
    """Run to the end. Raises FileNotFoundError when it is not installed, Refusal("failed") when it takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and every argument has been checked
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": _PATH, "LC_ALL": "C.UTF-8"},
            timeout=within_s,
            check=False,
        )
    except FileNotFoundError:
        raise
    except subprocess.TimeoutExpired as error:
        raise Refusal("failed", f"{arguments[0]} did not end within {within_s:g} s") from error
    except OSError as error:
        raise Refusal("failed", f"{arguments[0]} cannot be run: {said(error)}") from error
    text = done.stdout.decode("utf-8", errors="replace").strip()
    return Outcome(done.returncode, text[-_SHOWN:])
