"""What `dock-agent setup` asks a person at a terminal, and what it makes of options and answers."""

import re
import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from agent.cli.wording import safe
from agent.core.errors import AgentError, Remedy

if TYPE_CHECKING:
    from agent.config.fresh import FreshBay, FreshStore

SECRET_MAX_BYTES = 64 << 10
_LOCALTIME = Path("/etc/localtime")
_ZONES = "/zoneinfo/"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class SetupRefused(AgentError):
    """The configuration was not written."""

    code, remedy = "cli.setup_refused", Remedy.HALT


@dataclass(frozen=True, slots=True)
class Answers:
    """What is known so far; None or empty where nothing was said."""

    station: str | None
    store_url: str | None
    store_name: str
    require: str | None
    receipt_key: Path | None
    ca: Path | None
    credential: bytes | None
    bays: tuple[str, ...]

    def store(self, credential_file: str | None) -> "FreshStore | None":
        """The store's table, if there is to be one."""
        from agent.config.fresh import FreshStore

        if not self.store_url:
            return None
        receipt_key, ca = (None if path is None else str(path.absolute()) for path in (self.receipt_key, self.ca))
        # Without the store's key nobody can check a signature; then the bytes are fetched and hashed.
        require = self.require or ("signed" if receipt_key else "readback")
        return FreshStore(self.store_name, self.store_url, require, receipt_key, credential_file, ca)

    def folders(self) -> "tuple[FreshBay, ...]":
        """The bays: `NAME=FOLDER`, or a folder alone, which is named by its place. Raises BadParameter."""
        from agent.config.fresh import FreshBay

        bays = []
        for number, text in enumerate(self.bays, start=1):
            name, equals, folder = text.partition("=")
            bays.append(FreshBay(name, folder) if equals else FreshBay(str(number), text))
            if not Path(bays[-1].folder).is_absolute():
                raise typer.BadParameter(f"{text!r} is no absolute path of a folder", param_hint="--bay")
        return tuple(bays)


def asks_a_person(*, as_json: bool) -> bool:
    """Whether there is somebody to ask."""
    return not as_json and sys.stdin.isatty()


def ask(answers: Answers) -> Answers:
    """Ask for what options have not said; only the station's name must be answered."""
    host = socket.gethostname().partition(".")[0]
    known = host if _NAME.fullmatch(host) else None
    print("A few questions; Ctrl-C ends this and writes nothing. Everything can be changed in the file later.\n")
    if answers.station is None:
        answers = replace(answers, station=_prompt("Name of this station", known))
    if answers.store_url is None:
        answers = _ask_for_store(answers)
    if not answers.bays:
        told = "Folders that are bays, with commas between (nothing: USB bays, which are learned afterwards)"
        answers = replace(answers, bays=tuple(f.strip() for f in _prompt(told, "").split(",") if f.strip()))
    return answers


def asks_for_plain(spool: Path) -> bool:
    """Ask whether USB cameras may be copied into a spool that is not encrypted; False where it is, without asking."""
    from agent.files.block_layers import why_plain

    why = why_plain(spool)
    if why is None:
        return False
    print(
        f"\nThe spool {safe(str(spool))} is not encrypted: {safe(why)}. Whoever takes the station has what lies there."
    )
    return typer.confirm("Copy cameras all the same? (no: they keep their footage until the disk is)", default=False)


def _ask_for_store(answers: Answers) -> Answers:
    url = _prompt("Address of the evidence store, such as tus+https://evidence.example/files/ (nothing: later)", "")
    answers = replace(answers, store_url=url)
    if url.startswith("tus+") and answers.receipt_key is None:
        file = _prompt("File with the key that its receipts are signed with (nothing: clips are read back)", "")
        answers = replace(answers, receipt_key=Path(file) if file else None)
    if url.startswith("tus+") and answers.credential is None:
        secret = _prompt("This station's credential for it, not shown (nothing: none)", "", hidden=True)
        answers = replace(answers, credential=secret.encode() + b"\n" if secret else None)
    if url.startswith("s3+") and answers.credential is None:
        file = _prompt("File with access key id and secret access key, one a line (nothing: none)", "")
        answers = replace(answers, credential=read_secret(Path(file)) if file else None)
    return answers


def _prompt(text: str, default: str | None, *, hidden: bool = False) -> str:
    return str(typer.prompt(text, default=default, show_default=bool(default), hide_input=hidden)).strip()


def read_secret(source: Path) -> bytes:
    """A credential from a file, or from stdin for `-`; never from the command line, which others can read.

    Raises SetupRefused, OSError.
    """
    if source == Path("-"):
        raw = sys.stdin.buffer.read(SECRET_MAX_BYTES + 1)
    else:
        with source.open("rb") as stream:
            raw = stream.read(SECRET_MAX_BYTES + 1)
    if not raw.strip() or len(raw) > SECRET_MAX_BYTES:
        hint = "Give what the store's operator handed out, and nothing else. Nothing was written."
        raise SetupRefused(f"The credential in {source} is empty or longer than {SECRET_MAX_BYTES} bytes.", hint=hint)
    return raw


def system_zone() -> str | None:
    """The machine's own time zone, where it says one."""
    from zoneinfo import available_timezones

    try:
        name = str(_LOCALTIME.readlink()).partition(_ZONES)[2]
    except OSError:
        return None
    return name if name in available_timezones() else None
