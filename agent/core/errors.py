"""Errors, sorted by what someone must do about them.

Rules: adapters translate library errors into these at their edge (`raise ... from`); flows see nothing else.
`code` is stable and dotted (room.what); `hint` is a sentence for the person who can help.
"""

from enum import StrEnum


class Remedy(StrEnum):
    """What makes the failure go away."""

    RETRY = "retry"  # the same call may work later, by itself
    REDOCK = "redock"  # take the camera out and put it back
    QUARANTINE = "quarantine"  # keep aside, a person must look
    HALT = "halt"  # the operator must change something first


class AgentError(Exception):
    """A failure with a stable code, a remedy, and a hint for a person.

    The message says what happened and to what; `hint` says what to do next (empty: nothing, it heals itself).
    """

    code: str = "agent.error"
    remedy: Remedy = Remedy.HALT
    hint: str = ""

    def __init__(self, message: str, *, hint: str | None = None, retry_after_s: float | None = None) -> None:
        """`retry_after_s`: the other side asked for this pause; None when it did not."""
        super().__init__(message)
        if hint is not None:
            self.hint = hint
        self.retry_after_s = retry_after_s

    def told(self) -> str:
        """The whole story for a person: what happened, to what, and what to do next."""
        return f"{self.sentence()} {self.hint}".strip()

    def sentence(self) -> str:
        """What happened and to what, as a whole sentence, without what to do next."""
        what = str(self).strip()
        return what if what.endswith((".", "!", "?")) else f"{what}."

    def clause(self) -> str:
        """The same, to stand within a sentence."""
        what = self.sentence()[:-1]
        return what[:1].lower() + what[1:]


class ConfigError(AgentError):
    """The configuration cannot be used."""

    code, remedy = "config.invalid", Remedy.HALT


class LedgerError(AgentError):
    """The ledger cannot be opened, or refused a change."""

    code, remedy = "ledger.refused", Remedy.HALT
    hint = "Keep the state directory as it is and run `dock-agent custody verify`."


class LedgerNewer(LedgerError):
    """A newer agent has moved the ledger to a schema that this one does not know."""

    code = "ledger.newer"
    hint = (
        "Install the newer dock-agent again; the ledger was not touched. The ledger as it was before lies beside it:"
        " ledger.schema-N.sqlite."
    )


class LedgerDamaged(LedgerError):
    """The ledger's file cannot be read as one any more."""

    code = "ledger.damaged"
    hint = (
        "The footage on cameras and in the spool is untouched. Stop the service, move ledger.sqlite and"
        " ledger.sqlite-wal away, keep them, and bring the newest backup back with `dock-agent restore FILE`. Without"
        " a backup the station begins a new ledger, keeps all of the spool, copies docked cameras again and asks the"
        " stores what they hold. Either way nothing is wiped or purged until a person runs `dock-agent custody accept`."
    )


class LedgerFull(LedgerError):
    """The disk has no room for the ledger's next entry; nothing of it was kept."""

    code, remedy = "ledger.full", Remedy.RETRY
    hint = "Make room on the disk of the state directory; the agent goes on by itself."


class LedgerBusy(LedgerError):
    """Another process holds the ledger."""

    code = "ledger.busy"
    hint = "Another dock-agent uses this state directory; stop it or talk to it with `dock-agent status`."


class IllegalMove(LedgerError):
    """A state change that the tables do not allow, or whose starting state was no longer true."""

    code = "ledger.illegal_move"


class SpoolError(AgentError):
    """The spool could not keep bytes; those bytes count as not written."""

    code, remedy = "spool.write_failed", Remedy.RETRY
    hint = "Check the spool disk; the camera keeps its footage meanwhile."


class SpoolFull(SpoolError):
    """Free space is down to the reserve."""

    code = "spool.full"
    hint = "Uploads free space by themselves; if the store is away for long, the spool needs a larger disk."


class SpoolUnsafe(AgentError):
    """The spool's file system cannot promise that synced bytes stay."""

    code, remedy = "spool.unsafe_file_system", Remedy.HALT
    hint = "Put state_dir on ext4 or XFS, or set allow_unsafe_spool = true for a trial."


class SpoolPlain(AgentError):
    """The spool's disk is not encrypted, so cameras at USB ports are left alone."""

    code, remedy = "spool.not_encrypted", Remedy.HALT
    hint = (
        "The cameras keep their footage. Put state_dir on an encrypted disk (see operator.md), or take the risk with"
        " [station] allow_plain_spool = true; then restart the service."
    )


class SpoolCorrupt(AgentError):
    """The spool's bytes no longer have the digest that names them."""

    code, remedy = "spool.corrupt", Remedy.QUARANTINE
    hint = "The clip is copied again from its camera if that still holds it."


class CameraError(AgentError):
    """The camera or its reader failed; the session ends, nothing is lost."""

    code, remedy = "camera.failed", Remedy.REDOCK
    hint = "Take the camera out and put it back."


class CameraGone(CameraError):
    """The camera was taken out."""

    code = "camera.gone"
    hint = "Dock the camera again to go on."


class DeviceRefused(CameraError):
    """What is plugged in is not a camera that this station may touch; it stays as it is until it is taken out."""

    code = "camera.device_refused"
    hint = "Take it out. If it is one of your cameras, describe its model in a profile and dock it again."


class HelperUnreachable(CameraError):
    """The privileged part does not answer, so no USB camera can be opened; folders are not concerned."""

    code, remedy = "helper.unreachable", Remedy.RETRY
    hint = "Look at `systemctl status dock-helper.socket dock-helper.service`."


class MediumReadOnly(CameraError):
    """The medium cannot be written to; reading is not concerned."""

    code = "camera.read_only"
    hint = "Look for a write-protect switch; until then the footage stays aboard."


class ReaderStalled(CameraError):
    """No progress for the profile's stall time."""

    code = "reader.stalled"


class ReaderFailed(CameraError):
    """The reader process died or talked nonsense."""

    code = "reader.failed"


class ClipUnreadable(AgentError):
    """One file could not be read whole; the others are not concerned."""

    code, remedy = "clip.unreadable", Remedy.QUARANTINE
    hint = "Dock the camera again to try once more; if it stays so, keep the camera for examination."


class ClipChanged(ClipUnreadable):
    """The file was not the same after the copy as before."""

    code = "clip.changed"
    hint = "The camera was still writing; dock it again when it has stopped recording."


class ClipTooLarge(ClipUnreadable):
    """The camera claims a size that the spool could not even hold when empty."""

    code = "clip.too_large"
    hint = "If the size is real, the spool needs a larger disk; if not, keep the camera for examination."


class StoreError(AgentError):
    """The evidence store did not do what was asked; it may later."""

    code, remedy = "store.failed", Remedy.RETRY
    hint = "Nothing is lost: the spool keeps the footage and the upload goes on by itself."


class StoreUnreachable(StoreError):
    """No connection, no answer, or the answer came too slowly."""

    code = "store.unreachable"


class StoreBusy(StoreError):
    """The store asked for patience (locked, rate limit, maintenance)."""

    code = "store.busy"


class StoreRefused(StoreError):
    """The store will not take this until someone changes something (credential, size, quota)."""

    code, remedy = "store.refused", Remedy.HALT
    hint = "Check the credential, quota and limits of the store."


class ObjectRefused(StoreRefused):
    """The store will not take this one object (too large, malformed); the others are not concerned."""

    code = "store.object_refused"
    hint = "Look at the store's limits; the spool keeps the footage meanwhile."


class StoreLied(StoreError):
    """An answer contradicts what was sent: a wrong offset, digest, size or receipt."""

    code = "store.lied"
    hint = "The upload starts again; if this repeats, the store or the line alters data."


class ReceiptInvalid(StoreLied):
    """A receipt does not prove what it should."""

    code = "store.receipt_invalid"


class ActionRefused(AgentError):
    """A person asked for something that cannot be done; the message says why."""

    code, remedy = "desk.refused", Remedy.HALT
