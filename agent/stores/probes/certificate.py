"""What a store's certificate shows at a probe: who issued it, when it ends, and where its chain ends.

A network that looks into TLS puts an authority of its own at the chain's end. Where that authority stands in the
configuration (`ca`) it is the operator's; one that was added to this machine by hand may be either.
"""

from datetime import datetime
from pathlib import Path

from agent.core.commissioning import Certificate, Verdict, chain_moved
from agent.core.renewal_policy import ending_words
from agent.stores.probes.findings import Findings
from agent.stores.sighting import pem_certificate

ADDED = Path("/usr/local/share/ca-certificates")
"""Where Debian takes authorities from that an administrator adds. Source: update-ca-certificates(8)."""
_MOST_FILES = 200


def look_at_certificate(
    findings: Findings,
    found: Certificate | None,
    before: Certificate | None,
    *,
    own_ca: bool,
    now: datetime,
    added: Path = ADDED,
) -> None:
    """Write down what was seen; `before` is the certificate of the last probe. Blocks on small files."""
    if found is None:
        findings.add("certificate", "a greeting", "no TLS: nobody proves who answers", Verdict.ABSENT)
        return
    told = f"issued by {found.issuer}, {ending_words(found.ends, now) or f'ends on {found.ends:%Y-%m-%d}'}"
    if found.root_name is not None:
        told += f"; the chain ends at {found.root_name}"
    if own_ca:
        told += " (from `ca`)"
    elif found.root is not None and found.root in _added(added):
        told += ", which was added to this machine: a private authority, or a network that looks into TLS"
    moved = chain_moved(found, before)
    if moved and before is not None:
        told += f"; it ended at {before.root_name} before: the store changed its authority, or a network looks into TLS"
    findings.add("certificate", "a TLS greeting", told, Verdict.CHANGED if moved else Verdict.HOLDS)


def _added(folder: Path) -> frozenset[str]:
    """The fingerprints of authorities that an administrator added; what cannot be read is none."""
    found = set()
    for path in sorted(folder.glob("**/*.crt"))[:_MOST_FILES]:
        try:
            found.add(pem_certificate(path.read_bytes()).fingerprint)
        except (OSError, ValueError):
            continue
    return frozenset(found)
