"""Reads what a USB device says about itself: the bytes of `descriptors` in sysfs.

Rules: pure; the bytes are the device's own and hostile, so every length is checked, the work is bounded by the length
of the input, and the only failure is ValueError. The kernel has read them before the device is let in, and no driver
has. Source: USB 2.0 specification, section 9.6.
"""

from collections.abc import Iterator

HUB_CLASS = "09"
DESCRIPTORS_MAX_BYTES = 1 << 20
"""The kernel keeps at most 8 configurations of 64 KiB."""

INTERFACES_MAX = 32
"""Of all configurations and alternate settings: each costs the kernel a question that a silent device draws out."""
_DEVICE, _CONFIGURATION, _INTERFACE = 1, 2, 4
_DEVICE_BYTES, _CONFIGURATION_BYTES, _INTERFACE_BYTES = 18, 9, 9
_HEAD_BYTES = 2  # length and type
_CLASS_OF_DEVICE = 4  # the offset of class, subclass and protocol in a device descriptor
_CLASS_OF_INTERFACE = 5
_CONFIGURATIONS = 17  # the offset of their number in a device descriptor
_HUB_SETTINGS = 2
"""A hub has one for all its ports, and may have one in which each port has a translator of its own."""

_SEE_INTERFACES = frozenset({"00:00:00", "ef:02:01"})
"""Classes of a device that only say that the interfaces tell."""


def interfaces_of(raw: bytes) -> frozenset[str]:
    """Collect `class:subclass:protocol` of every interface, in any configuration and alternate setting.

    A device that has a class of its own shows that as one more: drivers (of hubs, of wireless adapters) go by it as
    well. Raises ValueError for what cannot be read whole.
    """
    if len(raw) > DESCRIPTORS_MAX_BYTES:
        raise ValueError(f"descriptors are longer than {DESCRIPTORS_MAX_BYTES} bytes")
    if len(raw) < _DEVICE_BYTES or raw[0] != _DEVICE_BYTES or raw[1] != _DEVICE:
        raise ValueError("the device descriptor is missing or cut off")
    found = {_triple(raw, _CLASS_OF_DEVICE)} - _SEE_INTERFACES
    if sum(raw[n : n + 2] == bytes((_INTERFACE_BYTES, _INTERFACE)) for n in range(len(raw))) > INTERFACES_MAX:
        raise ValueError(f"more than {INTERFACES_MAX} interfaces")
    at = _DEVICE_BYTES
    if at == len(raw):
        raise ValueError("there is no configuration")
    while at < len(raw):
        end = _end_of_configuration(raw, at)
        found |= _interfaces_in(raw[at:end], at)
        at = end
    return frozenset(found)


def is_only_hub(raw: bytes) -> bool:
    """Whether a device is a hub and nothing besides: what calls itself one may bring a keyboard all the same.

    A true hub has one configuration of one interface. Total: what cannot be read is no hub.
    Source: USB 2.0 specification, sections 11.12.3 and 11.23.1.
    """
    try:
        classes = interfaces_of(raw)
        end = _end_of_configuration(raw, _DEVICE_BYTES)
        settings = [each[2] for each in _interface_descriptors(raw[_DEVICE_BYTES:end], _DEVICE_BYTES)]
    except ValueError:
        return False
    calls_itself = raw[_CLASS_OF_DEVICE] == int(HUB_CLASS, 16)
    one_interface = end == len(raw) and raw[_CONFIGURATIONS] == 1 and set(settings) == {0}
    all_hub = all(each.startswith(f"{HUB_CLASS}:") for each in classes)
    return calls_itself and all_hub and one_interface and len(settings) <= _HUB_SETTINGS


def _end_of_configuration(raw: bytes, at: int) -> int:
    head = raw[at : at + _CONFIGURATION_BYTES]
    if len(head) < _CONFIGURATION_BYTES or head[0] != _CONFIGURATION_BYTES or head[1] != _CONFIGURATION:
        raise ValueError(f"no configuration descriptor at byte {at}")
    total = int.from_bytes(head[2:4], "little")
    if not _CONFIGURATION_BYTES <= total <= len(raw) - at:
        raise ValueError(f"the configuration at byte {at} claims {total} bytes of {len(raw) - at}")
    return at + total


def _interfaces_in(configuration: bytes, start: int) -> set[str]:
    found = {_triple(each, _CLASS_OF_INTERFACE) for each in _interface_descriptors(configuration, start)}
    if not found:
        raise ValueError(f"the configuration at byte {start} has no interface")
    return found


def _interface_descriptors(configuration: bytes, start: int) -> Iterator[bytes]:
    at = 0
    while at < len(configuration):
        length = configuration[at]
        if length < _HEAD_BYTES or at + length > len(configuration):
            raise ValueError(f"a descriptor at byte {start + at} claims {length} bytes")
        if configuration[at + 1] == _INTERFACE:
            if length < _INTERFACE_BYTES:
                raise ValueError(f"the interface descriptor at byte {start + at} is too short")
            yield configuration[at : at + length]
        at += length


def _triple(raw: bytes, at: int) -> str:
    return raw[at : at + 3].hex(":")
