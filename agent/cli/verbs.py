"""How verbs are shown in help: as the man page writes them, and nothing cut off in the middle of a sentence.

Typer keeps the classes of its own command line private, so they are `Any` here.
"""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandFunctionType

_NO_BRACES = str.maketrans("", "", "{}")
_PREFIX = "Value error, "
"""The validating library's, before our own words and its own alike."""


class _Verb(TyperCommand):
    """One verb."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401
        """What it takes: CLIP where it must be there, [STORE] where it need not."""
        pieces = super().collect_usage_pieces(ctx)
        return [piece.translate(_NO_BRACES).replace("[[", "[").replace("]]", "]") for piece in pieces]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Read the command line. Raises BadParameter."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix(_PREFIX)
            raise


class _Group(TyperGroup):
    """A verb with verbs of its own, or the whole command."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Each verb with the first paragraph of its help, over as many lines as it takes."""
        verbs = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, _first_paragraph(verb.help or "")) for name, verb in verbs if verb is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Verbs(typer.Typer):
    """A group of verbs. Plain help: the decorated one would cost a quarter of a second before each word."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        """`options` as for Typer."""
        super().__init__(cls=_Group, no_args_is_help=True, rich_markup_mode=None, **options)

    def command(
        self,
        name: str | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """Add a verb, as with Typer."""
        return super().command(name, cls=_Verb, **options)


def _first_paragraph(text: str) -> str:
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())
