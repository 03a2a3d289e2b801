"""What all tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

# On what looks like CI, pytest spells out whole differences: of a few MiB that takes minutes, and the test that found a
# mistake dies of its timeout. Taken out of the environment, it is the same in the runs that tests start.
for name in ("CI", "BUILD_NUMBER"):
    os.environ.pop(name, None)

# The same examples on every machine and in every run: a red test is red for everyone.
settings.register_profile(
    "ci",
    max_examples=200,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print what tests tell about a long run: `record_property("told", text)`."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, text in getattr(report, "user_properties", ()):
                if name == "told" and report.when == "call":
                    terminalreporter.write_line(f"\n{text}")
