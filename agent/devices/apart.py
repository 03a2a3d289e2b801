"""Work that may hang in the kernel (a dead mount, a full disk), in threads that nothing has to wait for.

Rules: one thread for each piece of work, so that a hung one holds up no other; the caller bounds how many there are.
The interpreter joins the threads of a ThreadPoolExecutor before it exits, however long that takes; these it leaves.
"""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from threading import Thread
from types import TracebackType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def run_apart(name: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Start `work` in a daemon thread called `name`; what it returns or raises is in the future, which always ends.

    Cancellation: the future cannot be cancelled, as a running call cannot be stopped.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def hand_over(_kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> bool:
        """Whoever waits gets the failure, whatever it is: it is raised there and not in a thread that nobody sees."""
        if error is not None:
            future.set_exception(error)
        return True

    def run() -> None:
        with ExitStack() as outcome:
            outcome.push(hand_over)
            result = work(*args, **kwargs)
            outcome.pop_all()
            future.set_result(result)

    Thread(target=run, name=name, daemon=True).start()
    return future
