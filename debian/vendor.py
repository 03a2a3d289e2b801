"""Lays the locked wheels out as the packages have them, with their licences and a bill of materials.

    vendor.py requirements                                   what to fetch, as a requirements file with hashes
    vendor.py unpack --version V --package main --into DIR   the wheels in vendor/ that belong to this package

Each wheel's SHA-256 is compared with the lock again before it is opened, so a build needs no network and trusts no
folder. What only an installer wants (RECORD, direct_url.json, scripts), byte code, and the descriptions of services in
botocore, which a signer never reads, stay out, and so does of libgphoto2 what a camera at a USB port does not need.
"""

import argparse
import email.message
import email.parser
import hashlib
import json
import os
import re
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

LOCK = Path("config/locks/runtime.txt")
WHEELS = Path("vendor")
SITE = "usr/lib/dock-agent/site"
THIRD_PARTY = "usr/share/doc/{package}/third-party"
SBOMS = "usr/share/dock-agent"

MTP = frozenset({"gphoto2"})
"""What the package for cameras that speak MTP brings; it is as large as all the rest."""
LEFT_OUT = frozenset({"av", "pip", "setuptools"})
"""Locked for the demo and for builds; a station never loads them."""
PACKAGES = {"main": "dock-agent", "mtp": "dock-agent-mtp"}

_NOT_SHIPPED = re.compile(
    r"(^botocore/data/|^gphoto2/(examples|libgphoto2/(locale|vusb))/|(^|/)\.|\.(py[cio]|pyx|pxd|c|h)$|/LICENSE(\.\w+)?$)"
    # Of libgphoto2, what speaks PTP over USB: its other drivers would let in more than the policy means.
    r"|^gphoto2/libgphoto2/camlibs/(?!ptp2\.so)|^gphoto2/libgphoto2/iolibs/(?!usb1\.so)"
)
_LICENCE = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)
_NEEDED = re.compile(r"\(NEEDED\).*\[(.+)\]")


class Unusable(Exception):
    """The wheels are not those of the lock; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One entry of the lock."""

    name: str
    version: str
    hashes: frozenset[str]  # SHA-256, hex, of every file that may be used
    text: str


def entries(lock: Path) -> Iterator[Locked]:
    """What a station is made of, in the order of the lock."""
    for text in re.split(r"^(?=[a-z0-9])", lock.read_text("utf-8"), flags=re.MULTILINE):
        found = re.match(r"([a-z0-9-]+)==([^\s;]+)( ; sys_platform == 'win32')?", text)
        if found and not found[3] and found[1] not in LEFT_OUT:
            hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", text))
            yield Locked(found[1], found[2], hashes, text)


def wheels(lock: Path, folder: Path) -> Iterator[tuple[Locked, Path, str]]:
    """Each entry of the lock with its wheel and the wheel's SHA-256. Raises Unusable."""
    there = {re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower(): path for path in folder.glob("*.whl")}
    for entry in entries(lock):
        path = there.pop(entry.name, None)
        if path is None:
            raise Unusable(f"{folder} has no wheel of {entry.name}; run scripts/build-deb, which fetches it")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest not in entry.hashes:
            raise Unusable(f"{path} is not the file that {lock} names; remove it and find out where it came from")
        yield entry, path, digest
    if there:
        raise Unusable(f"{folder} has wheels that {lock} does not name: {', '.join(sorted(there))}")


def target_of(name: str) -> str | None:
    """Where a file of a wheel belongs, below the folder of the libraries; None where it is not shipped."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise Unusable(f"a wheel has a file outside of itself: {name}")
    first, *rest = path.parts
    if first.endswith(".dist-info"):
        return name if rest == ["METADATA"] else None
    if first.endswith(".data"):
        return "/".join(rest[1:]) if rest[0] in ("purelib", "platlib") else None
    return None if _NOT_SHIPPED.search(name) else name


def write(path: Path, data: bytes) -> None:
    """Write a file that everybody may read."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o644)


def unpack(wheel: Path, package: str, into: Path) -> email.message.Message:
    """Lay out one wheel with its licences; returns its metadata. Raises Unusable."""
    licences, metadata = [], email.message.Message()
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith("/"):
                continue
            path = PurePosixPath(name)
            below = path.parts[1:] if path.parts[0].endswith(".dist-info") else ()
            if below == ("METADATA",):
                metadata = email.parser.BytesParser().parsebytes(archive.read(name), headersonly=True)
            is_licence = _LICENCE.search("/".join(below)) if below else path.name.startswith("LICENSE")
            if is_licence and "sboms" not in below:
                licences.append((path.name, archive.read(name).decode("utf-8", "replace")))
            if "sboms" in below:
                kept = f"{SBOMS}/sbom/{metadata_name(path.parts[0])}-{path.name}"
                write(into / kept, archive.read(name))
            target = target_of(name)
            if target is not None:
                write(into / SITE / target, archive.read(name))
    texts = [f"{metadata['Name']} {metadata['Version']}, licence: {licence(metadata)}\n"]
    texts += [f"\n---- {name}\n\n{text}\n" for name, text in licences]
    third_party = THIRD_PARTY.format(package=package)
    write(into / third_party / f"{metadata_name(wheel.name)}.txt", "".join(texts).encode())
    return metadata


def drop_unneeded(site: Path) -> None:
    """Remove the bundled libraries that nothing shipped loads. Raises Unusable when readelf fails."""
    bundled = {path.name: path for path in site.glob("*.libs/*")}
    reached = [path for path in site.rglob("*.so*") if path.name not in bundled]
    while reached:
        told = subprocess.run(["readelf", "-d", reached.pop()], capture_output=True, text=True, check=False)
        if told.returncode:
            raise Unusable(f"readelf cannot read a library: {told.stderr.strip()}")
        reached += [bundled.pop(name) for name in _NEEDED.findall(told.stdout) if name in bundled]
    for path in bundled.values():
        path.unlink()


def metadata_name(name: str) -> str:
    """A distribution's name, from the name of its wheel or of its folder of metadata."""
    return re.sub(r"[-_.]+", "-", name.split("-", maxsplit=1)[0]).lower()


def licence(metadata: email.message.Message) -> str:
    """What a distribution says its licence is, in a few words."""
    classifiers = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier", []) if c.startswith("License ::")]
    own = (metadata["License"] or "").strip()
    short = own if own and "\n" not in own else ""
    return metadata["License-Expression"] or short or ", ".join(classifiers) or "see below"


def bill_of_materials(package: str, version: str, parts: list[tuple[Locked, str, str]]) -> bytes:
    """CycloneDX 1.5, the same bytes for the same parts: each entry with its wheel's SHA-256 and its licence."""
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{entry.name}@{entry.version}",
            "name": entry.name,
            "version": entry.version,
            "purl": f"pkg:pypi/{entry.name}@{entry.version}",
            "hashes": [{"alg": "SHA-256", "content": digest}],
            "licenses": [{"license": {"name": named}}],
        }
        for entry, digest, named in parts
    ]
    made = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    own = f"pkg:deb/{package}@{version}"
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([own, components]))}",
        "version": 1,
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "application", "bom-ref": own, "name": package, "version": version},
        },
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": [component["bom-ref"] for component in components]}],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def own_metadata(version: str) -> bytes:
    """What tells Python of the agent itself, so that it knows its version."""
    return f"Metadata-Version: 2.1\nName: bwv-dock-agent\nVersion: {version.partition('+')[0]}\n".encode()


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(prog="vendor.py")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("requirements")
    laying = verbs.add_parser("unpack")
    laying.add_argument("--version", required=True)
    laying.add_argument("--package", choices=PACKAGES, required=True)
    laying.add_argument("--into", type=Path, required=True)
    asked = parser.parse_args()
    if asked.verb == "requirements":
        sys.stdout.writelines(entry.text for entry in entries(LOCK))
        return 0
    package, parts = PACKAGES[asked.package], []
    try:
        for entry, wheel, digest in wheels(LOCK, WHEELS):
            if (entry.name in MTP) == (asked.package == "mtp"):
                parts.append((entry, digest, licence(unpack(wheel, package, asked.into))))
        drop_unneeded(asked.into / SITE)
    except Unusable as error:
        sys.stderr.write(f"vendor: {error}\n")
        return 1
    suffix = "" if asked.package == "main" else f"-{asked.package}"
    write(asked.into / SBOMS / f"sbom{suffix}.cdx.json", bill_of_materials(package, asked.version, parts))
    if asked.package == "main":
        upstream = asked.version.partition("+")[0]
        write(asked.into / SITE / f"bwv_dock_agent-{upstream}.dist-info/METADATA", own_metadata(asked.version))
    return 0


if __name__ == "__main__":
    sys.exit(main())
