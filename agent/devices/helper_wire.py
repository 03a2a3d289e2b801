"""The protocol between the agent and its privileged helper.

One JSON object per packet, both ways, over a Unix socket of type SOCK_SEQPACKET: a packet is whole or it is not there,
so nothing has to be framed. The agent asks `{"id": n, "verb": ..., "bay": ..., ...}`; each question gets exactly one
answer, `{"id": n, "ok": {...}}` or `{"id": n, "error": {"code", "text"}}`, in whatever order they get done: a mount
of a hung camera takes minutes and holds up no other bay.

  guard         -                    -> guarded, open: root hubs that admit nothing unasked, and those that cannot
  authorise     bay, device, number, on -> -     `device` is a kernel name such as "1-1.3", on a port of this bay, and
                                                 `number` its devnum, which the next one in that port does not have
  authorise_hub device               -> -        a hub on the way to a dock port, and nothing but a hub
  hub           device               -> characteristics  wHubCharacteristics of a hub on the way to a dock port
  mount         bay, block, fs       -> root     read-only, below MEDIA/BAY; `block` ("sda1") is of this bay's device
  window        bay                  -> root     the same volume, writable
  renew         bay                  -> root     the same volume, read-only, from the medium and not from memory
  unmount       bay                  -> -        everything below MEDIA/BAY, lazily where it is in use
  power         bay, to              -> by       "off", "on" or "cycle"; by what it was switched ("sysfs", "uhubctl")
  reader        bay, kind, device    -> -        starts the bay's reader, which connects to READERS/BAY.sock; `device`
                                                 only for kind "usb": the one device whose node it gets
  end_reader    bay                  -> -        kills it, whatever it is doing
  blank         -                    -> -        ends every reader and unmounts everything: what an earlier run left

A bay is named as in the configuration, or `port-1-1.3` for a port of a dock's hub that no bay names.
"""

import json

PACKET_BYTES = 4096
"""No packet is longer, in either direction."""

SOCKET = "/run/dock-helper.sock"
MEDIA = "/run/dock-media"
READERS = "/run/dock-agent/readers"

READER_KINDS = ("storage", "ext4", "usb")
"""Which unit serves a bay: a mounted volume, one whose files belong to users of the camera, or a USB device itself."""

FILE_SYSTEMS = ("vfat", "exfat", "ext4")

ERRORS = (
    "bad_request",  # the packet is none that this protocol knows
    "not_a_dock_port",  # no bay of that name, or the device is not on one of its ports
    "no_such_device",  # it is not there (any more)
    "not_mounted",
    "gone",  # another device has taken its place since it was seen or mounted
    "read_only",  # the medium takes no changes: a switch, a worn-out card, a journal that must be replayed first
    "not_mountable",  # the kernel does not take it as this file system
    "no_switch",  # no hub on the way can cut the power of this port
    "failed",  # anything else; the text says what the system said
)


def packet_of(message: dict[str, object]) -> bytes:
    """Write one message. Raises ValueError when it is too long."""
    packet = json.dumps(message, separators=(",", ":")).encode("ascii")
    if len(packet) > PACKET_BYTES:
        raise ValueError("too long for one packet")
    return packet


def message_of(packet: bytes) -> dict[str, object]:
    """Read one message. Raises ValueError for what is none."""
    try:
        message = json.loads(packet)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(message, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one kind of failure for the caller
    return message
