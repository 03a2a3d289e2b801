"""The archive of a backup: one uncompressed tar, its manifest first, every other file named in that."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from agent.core.backup import MANIFEST, MAX_MANIFEST_BYTES, BackupUnusable, Kept, Manifest, parse_manifest
from agent.files.durable import DurablePart

BLOCK = 1 << 20


def measure(name: str, file: Path, *, secret: bool) -> Kept:
    """A file's entry in the manifest. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
            size += len(block)
    return Kept(name, size, digest.hexdigest(), secret)


def write_archive(output: Path, manifest: Manifest, sources: dict[str, Path]) -> None:
    """Write a new file, mode 0600, that is whole or not there. Raises OSError, BackupUnusable.

    A source that is no longer what the manifest says spoils it.
    """
    part_path = output.with_name(f".{output.name}.part")
    part_path.unlink(missing_ok=True)
    with DurablePart(part_path) as part:
        with tarfile.open(fileobj=_Sink(part), mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
            text = manifest.text().encode()
            tar.addfile(_entry(MANIFEST, len(text)), io.BytesIO(text))
            for kept in manifest.files:
                with sources[kept.name].open("rb") as stream:
                    hashing = _Hashing(stream)
                    tar.addfile(_entry(kept.name, kept.size), hashing)
                if hashing.digest.hexdigest() != kept.sha256:
                    raise BackupUnusable(f"{kept.name} changed while it was read.", hint="Run it again.")
        part.publish(output, mode=0o600)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


class _Sink:
    """What a tar is written to."""

    def __init__(self, part: DurablePart) -> None:
        self._part = part

    def write(self, block: bytes) -> int:
        self._part.write(block)
        return len(block)


class _Hashing:
    """A file that is hashed while the tar takes it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        block = self._stream.read(size)
        self.digest.update(block)
        return block


def unpack(archive: Path, into: Path) -> Manifest:
    """Write every file below `into`, each with the size and digest that the manifest says, and nothing else.

    Raises BackupUnusable, OSError.
    """
    try:
        with tarfile.open(archive, mode="r:") as tar:
            members = iter(tar)
            manifest = parse_manifest(_read_manifest(tar, next(members, None)))
            seen = set()
            for member in members:
                kept = manifest.named(member.name)
                if kept.name in seen or not _is_plain(member) or member.size != kept.size:
                    raise BackupUnusable(f"{kept.name} in the backup is not what its manifest says.")
                seen.add(kept.name)
                stream = tar.extractfile(member)
                assert stream is not None  # noqa: S101 - it is a regular file
                _write(into / kept.name, stream, kept)
    except (tarfile.TarError, ValueError, OverflowError) as error:  # the latter for numbers that no file can have
        raise BackupUnusable(f"{archive} cannot be read as a backup: {error}.") from error
    missing = sorted({kept.name for kept in manifest.files} - seen)
    if missing:
        raise BackupUnusable(f"The backup ends before {missing[0]}.")
    return manifest


def _is_plain(member: tarfile.TarInfo) -> bool:
    """Whether an entry's bytes are simply what follows it: one with holes may claim any size."""
    return member.isreg() and not member.issparse()


def _read_manifest(tar: tarfile.TarFile, first: tarfile.TarInfo | None) -> bytes:
    stream = None if first is None or not _is_plain(first) or first.name != MANIFEST else tar.extractfile(first)
    if stream is None:
        raise BackupUnusable("This is no backup of a station: it does not begin with a manifest.")
    return stream.read(MAX_MANIFEST_BYTES)


def _write(target: Path, stream: IO[bytes], kept: Kept) -> None:
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with DurablePart(target.with_name(f".{target.name}.part")) as part:
        for block in _blocks(stream):
            digest.update(block)
            part.write(block)
        if digest.hexdigest() != kept.sha256:
            raise BackupUnusable(f"{kept.name} in the backup was altered: its digest does not fit.")
        part.publish(target, mode=0o600)


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block
