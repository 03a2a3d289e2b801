"""What all tables of the configuration have in common."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table of the file: strict about keys, never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
