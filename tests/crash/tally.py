"""What a run of kills has met: rounds, kills by target and call, states; told at its end."""

from collections import Counter
from dataclasses import dataclass, field

from tests.crash.states import DEMANDED

LONGER = 160
"""So many more rounds are spent on states that are still missing."""


@dataclass(slots=True)
class Tally:
    """Shared by all lives of one run, which is to have at least `wanted` rounds."""

    wanted: int = 0
    rounds: int = 0
    lives: int = 0
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)

    def is_enough(self) -> bool:
        """Whether the run may end: all rounds are done, and all states met or looked for long enough."""
        return self.rounds >= self.wanted and (not self.missing() or self.rounds >= self.wanted + LONGER)

    def missing(self) -> list[str]:
        """Demanded states that no kill has met."""
        return [state for state in DEMANDED if not self.states[state]]

    def count(self, target: str, how: str, states: set[str]) -> None:
        """Take one round in."""
        self.rounds += 1
        self.kills[target, how] += 1
        self.states.update(states)

    def report(self) -> str:
        """Write it for people."""
        lines = [f"kills: {self.rounds} rounds in {self.lives} whole lives"]
        for target in sorted({target for target, _ in self.kills}):
            of_target = {how: n for (name, how), n in self.kills.items() if name == target}
            told = ", ".join(f"{how} {n}" for how, n in sorted(of_target.items(), key=lambda each: -each[1]))
            lines.append(f"  {target} {sum(of_target.values())}: {told}")
        lines.append("states met after a kill (rounds):")
        lines += [f"  {self.states[state]:4} {state}" for state in sorted(self.states, key=lambda s: -self.states[s])]
        lines += [f"     0 {state}  <- demanded" for state in self.missing()]
        return "\n".join(lines)
