"""Whether what lies under a directory is encrypted by the kernel, from the block devices beneath it.

Rules: every way down to a disk must pass a layer that encrypts; what is not known encrypts nothing. Which cipher a
layer uses only root is told by the kernel, so nothing is known here of one that is no cipher.
Source: the UUIDs that cryptsetup gives to its mappings ("CRYPT-LUKS2-..."); those of its integrity and verity mappings
begin with CRYPT- as well, and hide nothing. While it encrypts, decrypts or encrypts anew, parts of its own lie beneath
("CRYPT-SUBDEV-...-overlay", "...-hotzone-forward").
"""

from dataclasses import dataclass

_ENCRYPTING = ("CRYPT-LUKS1-", "CRYPT-LUKS2-", "CRYPT-PLAIN-", "CRYPT-TCRYPT-", "CRYPT-BITLK-", "CRYPT-FVAULT2-")
_LUKS = ("CRYPT-LUKS1-", "CRYPT-LUKS2-")
_BY_DRIVE = "CRYPT-LUKS2-OPAL-"
_PART, _INTEGRITY = "CRYPT-SUBDEV-", "_dif"


@dataclass(frozen=True, slots=True)
class Layer:
    """A block device by its kernel name: the device mapper's UUID of it, and what it lies on (nothing: a disk)."""

    name: str
    uuid: str = ""
    beneath: tuple["Layer", ...] = ()

    @property
    def encrypts(self) -> bool:
        """Whether what is written to it reaches what is beneath it as cipher text only."""
        return self.uuid.startswith(_ENCRYPTING) and self._doubt is None

    @property
    def _doubt(self) -> str | None:
        if self.uuid.startswith(_BY_DRIVE):
            return f"{self.name} may leave it to the drive (OPAL), at which nobody can look from here"
        if self.uuid.startswith(_LUKS) and any(each.is_part for each in self.beneath):
            return (
                f"{self.name} is being encrypted, decrypted or encrypted anew, and parts of it may be plain until then"
            )
        return None

    @property
    def is_part(self) -> bool:
        """Whether it is there only while the mapping above it is changed."""
        return self.uuid.startswith(_PART) and not self.uuid.endswith(_INTEGRITY)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why layers that look as if they encrypted do not count, on the ways to `bare` disks."""
        if self._doubt is not None:
            return (self._doubt,)
        return () if self.encrypts else tuple(doubt for each in self.beneath for doubt in each.doubts)

    @property
    def disks(self) -> frozenset[str]:
        """The disks at the bottom."""
        return frozenset().union(*(each.disks for each in self.beneath)) if self.beneath else frozenset({self.name})

    @property
    def bare(self) -> frozenset[str]:
        """The disks that plain text reaches."""
        if self.encrypts:
            return frozenset()
        return frozenset().union(*(each.bare for each in self.beneath)) if self.beneath else frozenset({self.name})
