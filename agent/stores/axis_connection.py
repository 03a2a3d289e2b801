"""The connection file of a content destination: where it is, how its certificate is known, our name and key there.

Rules: only what the specification names is accepted, within its bounds; what is secret stays out of every message and
`repr`. The one attribute beyond the text, `BlobAPI`, stands in every file that the published example server writes.
Source: Axis Body Worn Content Destination API 1.6.13, "Connection API".
"""

import base64
import binascii
import json
import stat
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from agent.core.errors import ConfigError

MAX_BYTES = 64 << 10
LEAST_KEY_BITS = 2048
"""The published example accepts 1,024 bits; those can be broken."""
_OTHERS = 0o077
_HINT = "Let the content destination write its connection file anew, and copy it here unchanged."
_PATH_HINT = "Correct the path behind `axis:`, or let the agent's user read the file."
_Address = Annotated[str, Field(min_length=1, max_length=512)]
_Certificate = Annotated[str, Field(min_length=1, max_length=16 << 10)]


class AxisConnection(BaseModel):
    """What a connection file says. `user` and `key` are sent to the destination's log-in and nowhere else."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    version: Literal["1.0"] = Field(alias="ConnectionFileVersion")
    site: str = Field(alias="SiteName", max_length=64)
    application: str = Field(alias="ApplicationName", max_length=256)
    application_version: str = Field(alias="ApplicationVersion", max_length=128)
    is_time_server: bool = Field(default=False, alias="ContentDestinationAsNTPServer")
    addresses: list[_Address] = Field(alias="AuthenticationTokenURI", min_length=1, max_length=10)
    certificates: list[_Certificate] = Field(default_factory=list, alias="HTTPSCertificate", max_length=10)
    key: SecretStr = Field(alias="BlobAPIKey", min_length=1, max_length=64)
    user: SecretStr = Field(alias="BlobAPIUserName", min_length=1, max_length=64)
    interface: str = Field(default="", alias="BlobAPI", max_length=64)
    container_type: Literal["mkv", "mp4"] = Field(default="mkv", alias="ContainerType")
    full_support: bool = Field(default=False, alias="FullStoreAndReadSupport")
    want_encryption: bool = Field(default=False, alias="WantEncryption")
    public_key: str = Field(default="", alias="PublicKey", max_length=2048)
    public_key_id: str = Field(default="", alias="PublicKeyId", max_length=128)

    @field_validator("key", "user")
    @classmethod
    def _fits_into_a_header(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not all(" " <= char <= "~" for char in text) or text != text.strip():
            raise ValueError("must be printable ASCII without blanks at its ends")
        return value

    @model_validator(mode="after")
    def _key_and_wish_belong_together(self) -> Self:
        if self.want_encryption and not (self.public_key and self.public_key_id):
            raise ValueError("WantEncryption needs PublicKey and PublicKeyId")
        if not self.want_encryption and (self.public_key or self.public_key_id):
            raise ValueError("PublicKey and PublicKeyId are there, but WantEncryption is not true")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that only its owner can read. Blocks. Raises ConfigError, whose message holds no secret."""
        data = _bytes_of(path)
        try:
            fields = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, _Doubled) else "is not a JSON document in UTF-8"
            raise ConfigError(f"the connection file {path} {reason}", hint=_HINT) from None
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise ConfigError(f"the connection file {path}: {_said(error)}", hint=_HINT) from None

    def pinned(self) -> str:
        """The pinned certificates as PEM; empty when there are none. Raises ConfigError."""
        try:
            return "".join(_certificate(text) for text in self.certificates)
        except (ValueError, binascii.Error) as error:
            text = "the connection file's HTTPSCertificate holds what is no certificate in base64"
            raise ConfigError(text, hint=_HINT) from error

    def encryption_key(self) -> RSAPublicKey | None:
        """The destination's public key; None when it wants no encryption. Raises ConfigError."""
        if not self.want_encryption:
            return None
        try:
            key = load_pem_public_key(base64.b64decode(self.public_key, validate=True))
        except (ValueError, UnsupportedAlgorithm, binascii.Error) as error:
            text = "the connection file's PublicKey is no public key (PEM, in base64)"
            raise ConfigError(text, hint=_HINT) from error
        if not isinstance(key, RSAPublicKey) or key.key_size < LEAST_KEY_BITS:
            hint = "Let the destination make a new pair of keys."
            text = f"the connection file's PublicKey is no RSA key of at least {LEAST_KEY_BITS} bits"
            raise ConfigError(text, hint=hint)
        return key


class _Doubled(ValueError):
    """An attribute that stands there twice: which of the two holds, programs see differently."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _Doubled("names an attribute twice")
    return fields


def _bytes_of(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # asked first: to open a pipe would wait for its other end
            raise ConfigError(f"the connection file {path} is no file", hint=_PATH_HINT)
        if status.st_mode & _OTHERS:
            hint = f"Run: chmod 600 {path}"
            raise ConfigError(f"the connection file {path} holds a password and other users can read it", hint=hint)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the connection file {path} cannot be read: {error.strerror}", hint=_PATH_HINT) from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"the connection file {path} is larger than {MAX_BYTES} bytes", hint=_HINT)
    return data


def _said(error: ValidationError) -> str:
    """What is wrong with which attribute, without what it holds."""
    told = []
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in each["loc"])
        what = str(each["msg"]).removeprefix("Value error, ")
        told.append(f"{_printable(where)}: {what}" if where else what)
    return "; ".join(told)


def _printable(name: str) -> str:
    """An attribute's name, which may be anybody's."""
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in name[:64])


def _certificate(text: str) -> str:
    """One certificate as PEM; the text is the base64 of PEM (as the example writes it) or of DER. Raises ValueError."""
    data = base64.b64decode(text, validate=True)
    is_pem = data.lstrip().startswith(b"-----BEGIN")
    found = x509.load_pem_x509_certificate(data) if is_pem else x509.load_der_x509_certificate(data)
    return found.public_bytes(Encoding.PEM).decode("ascii")
