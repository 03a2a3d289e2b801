"""Certificates for tests of TLS: an authority, and what it signs, rightly and wrongly."""

import ipaddress
import re
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


class Authority:
    """One CA; its certificate lies in `path`."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.path = directory / f"{re.sub(r'[^A-Za-z0-9 ]', '_', name)}.pem"
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        built = self._builder(self._name, self._key.public_key(), datetime.now(UTC) - DAY, datetime.now(UTC) + DAY)
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        certificate = built.add_extension(usage, critical=True).sign(self._key, SHA256())
        self.path.write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(
        self, name: str, *, address: str = "127.0.0.1", host: str | None = None, begins: int = -1, ends: int = 1
    ) -> tuple[Path, Path]:
        """Issue a certificate valid from `begins` to `ends` days from now; return the paths of it and its key."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = self._builder(subject, key.public_key(), now + begins * DAY, now + ends * DAY)
        general = x509.IPAddress(ipaddress.ip_address(address)) if host is None else x509.DNSName(host)
        names = x509.SubjectAlternativeName([general])
        certificate = built.add_extension(names, critical=False).sign(self._key, SHA256())
        paths = self._directory / f"{name}.crt", self._directory / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths

    def sign(
        self,
        request: bytes,
        *,
        begins: timedelta = -DAY,
        ends: timedelta = DAY,
        more: Sequence[x509.ExtensionType] = (),
    ) -> bytes:
        """Issue what a request asks for, as PEM, with the extensions `more`."""
        wanted, now = x509.load_pem_x509_csr(request), datetime.now(UTC)
        key = wanted.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        built = self._builder(wanted.subject, key, now + begins, now + ends)
        for extension in more:
            built = built.add_extension(extension, critical=False)
        return built.sign(self._key, SHA256()).public_bytes(Encoding.PEM)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
    ) -> x509.CertificateBuilder:
        built = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        return built.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)


def server_context(certificate: tuple[Path, Path], client_ca: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
