"""What pydantic finds wrong in a TOML file, in the words of whoever wrote the file."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def reason_of(mistake: "ErrorDetails", file: type[BaseModel]) -> str:
    """Why a key is wrong; `file` is what may stand in the whole file."""
    match mistake["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            key = str(mistake["loc"][-1])
            alike = get_close_matches(key, _keys_at(mistake["loc"][:-1], file), n=1)
            return f"unknown key; did you mean {alike[0]}?" if alike else "unknown key"
        case _:
            return mistake["msg"].removeprefix("Value error, ")


def _keys_at(place: tuple[int | str, ...], file: type[BaseModel]) -> list[str]:
    """The keys that a table knows; none where the way to it is not plain."""
    tables = [file]
    for key in place:
        if isinstance(key, str):
            fields = [table.model_fields[key] for table in tables if key in table.model_fields]
            tables = [table for field in fields for table in _tables_in(field.annotation)]
    return [field.alias or name for table in tables for name, field in table.model_fields.items()]


def _tables_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _tables_in(part)
