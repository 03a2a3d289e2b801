"""The `[usb]` table of a camera profile file: what the model shows on a port, and how a locked one is opened."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, field_validator

_HIGHEST_ID = 0xFFFF
_HOST_TO_DEVICE = 0x80  # this bit is clear
_KIND = 0x60
_CLASS_OR_VENDOR = (0x20, 0x40)

_NEVER = {"03": "what types or points is never let in", "09": "a camera is no hub"}


def _check_interface(text: str) -> str:
    reason = _NEVER.get(text[:2])
    if reason is not None:
        raise ValueError(reason)
    return text


HexId = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{4}$")]
Interface = Annotated[
    str, Field(pattern=r"^[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}$"), AfterValidator(_check_interface)
]  # class:subclass:protocol
Byte = Annotated[int, Field(ge=0, le=0xFF)]
Word = Annotated[int, Field(ge=0, le=_HIGHEST_ID)]


class UsbIdTable(BaseModel, extra="forbid", strict=True, frozen=True):
    """A USB id, four hexadecimal digits each."""

    vendor: HexId
    product: HexId


class UnlockTable(UsbIdTable):
    """The id that the locked camera shows, and the one control transfer that opens it; `data` is hexadecimal."""

    request_type: Byte
    request: Byte
    value: Word = 0
    index: Word = 0
    data: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{2}){0,256}$")] = ""

    @field_validator("request_type")
    @classmethod
    def _only_tells(cls, request_type: int) -> int:
        if request_type & _HOST_TO_DEVICE or request_type & _KIND not in _CLASS_OR_VENDOR:
            raise ValueError("must be a vendor or class request towards the camera, such as 0x40")
        return request_type


class UsbRulesTable(BaseModel, extra="forbid", strict=True, frozen=True):
    """Every interface that the model may show; unset: the usual ones of its access."""

    interfaces: list[Interface] | None = Field(default=None, min_length=1, max_length=32)
    unlock: UnlockTable | None = None
