"""The command line's own parser as plain data, for what is made from it and compared with it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from typer.main import get_command

from agent.cli.main import app

PROGRAM = "dock-agent"
_FILES = frozenset({"FILE", "FILE.csv"})
_FOLDERS = frozenset({"DIR", "PATH"})


class Takes(StrEnum):
    """What a shell can offer as the value of an option or argument."""

    NOTHING = "nothing"  # a switch
    FILE = "file"
    FOLDER = "folder"
    CHOICE = "choice"
    WORD = "word"  # nothing that a shell could know


@dataclass(frozen=True, slots=True)
class Parameter:
    """An option (`--name`) or an argument, which has no name but what stands for it in the help."""

    name: str
    metavar: str | None
    takes: Takes
    choices: tuple[str, ...]
    said: str  # its help
    many: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A verb, or a group of verbs: `path` is ("bays", "learn"); the program itself has none."""

    path: tuple[str, ...]
    said: str
    options: tuple[Parameter, ...]
    arguments: tuple[Parameter, ...]
    verbs: tuple["Command", ...]
    stands_alone: bool  # means something without one of its verbs

    @property
    def words(self) -> str:
        """As it is typed."""
        return " ".join((PROGRAM, *self.path))

    def walk(self) -> list["Command"]:
        """Itself and everything below it."""
        return [self, *(below for verb in self.verbs for below in verb.walk())]


def commands() -> Command:
    """The whole command line."""
    return _command(get_command(app), ())


def _command(command: Any, path: tuple[str, ...]) -> Command:
    verbs = getattr(command, "commands", {})
    parameters = [(each, _parameter(each)) for each in command.params]
    return Command(
        path,
        _first_sentence(command.help or ""),
        tuple(mine for each, mine in parameters if each.param_type_name == "option"),
        tuple(mine for each, mine in parameters if each.param_type_name == "argument"),
        tuple(_command(verb, (*path, name)) for name, verb in verbs.items()),
        not verbs or bool(getattr(command, "invoke_without_command", False)),
    )


def _parameter(each: Any) -> Parameter:
    choices = tuple(map(str, getattr(each.type_descriptor, "choices", None) or ()))
    metavar = each.metavar
    if getattr(each, "is_flag", False):
        takes = Takes.NOTHING
    elif choices:
        takes = Takes.CHOICE
    else:
        takes = Takes.FILE if metavar in _FILES else Takes.FOLDER if metavar in _FOLDERS else Takes.WORD
    return Parameter(each.opts[0], metavar, takes, choices, each.help or "", each.nargs == -1)


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())
