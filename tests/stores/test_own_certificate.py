"""Whether a certificate that came back may be used: its key, its time, its purpose."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.core.errors import ConfigError
from agent.stores.own_certificate import check_certificate, make_key, make_request
from tests.stores.certificates import DAY, Authority


def now() -> datetime:
    """The time of asking: what a module reads as it is loaded is old at the end of a long run."""
    return datetime.now(UTC)


FOR_CLIENTS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
FOR_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "forceca")


def test_the_request_names_the_station_and_asks_for_a_certificate_of_clients() -> None:
    key = make_key()
    request = x509.load_pem_x509_csr(make_request(key, "hub7"))
    assert request.is_signature_valid
    assert request.subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub7")])
    assert request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == FOR_CLIENTS
    private = load_pem_private_key(key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert private.curve.name == "secp256r1"


@pytest.mark.parametrize("more", [(), (FOR_CLIENTS,), (x509.BasicConstraints(ca=False, path_length=None),)])
def test_one_that_fits_is_taken_with_the_issuers_that_came_with_it(
    authority: Authority, more: tuple[x509.ExtensionType, ...]
) -> None:
    key = make_key()
    pem = authority.sign(make_request(key, "hub7"), more=more) + authority.path.read_bytes()
    issued = check_certificate(pem, key, now())
    assert issued.pem == pem
    assert issued.subject == "CN=hub7"
    assert abs(issued.ends - now() - DAY) < timedelta(minutes=5)


def test_one_for_another_key_is_refused_whoever_it_names(authority: Authority) -> None:
    pem = authority.sign(make_request(make_key(), "hub7"))
    with pytest.raises(ConfigError, match="another key"):
        check_certificate(pem, make_key(), now())


@pytest.mark.parametrize(
    ("begins", "ends", "why"),
    [(DAY, 2 * DAY, "valid from .* on only"), (-2 * DAY, -DAY, "no longer valid since")],
)
def test_one_that_is_not_valid_now_is_refused_and_the_clock_is_named(
    authority: Authority, begins: timedelta, ends: timedelta, why: str
) -> None:
    key = make_key()
    pem = authority.sign(make_request(key, "hub7"), begins=begins, ends=ends)
    with pytest.raises(ConfigError, match=why) as caught:
        check_certificate(pem, key, now())
    assert "clock" in caught.value.hint


@pytest.mark.parametrize(
    ("extension", "why"),
    [
        (FOR_SERVERS, "not for the authentication of clients"),
        (x509.BasicConstraints(ca=True, path_length=None), "a CA's own"),
        (
            x509.KeyUsage(
                digital_signature=False, key_cert_sign=False, crl_sign=False, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=True, encipher_only=False,
                decipher_only=False,
            ),
            "may not sign",
        ),
    ],
)  # fmt: skip
def test_one_that_is_not_for_clients_is_refused(authority: Authority, extension: x509.ExtensionType, why: str) -> None:
    key = make_key()
    with pytest.raises(ConfigError, match=why):
        check_certificate(authority.sign(make_request(key, "hub7"), more=(extension,)), key, now())


def test_what_is_no_certificate_and_what_brings_a_key_is_refused_without_repeating_it(authority: Authority) -> None:
    key = make_key()
    pem = authority.sign(make_request(key, "hub7"))
    for given in (b"", b"certificate", pem[:200], pem + key, b"x" * (2 << 20)):
        with pytest.raises(ConfigError) as caught:
            check_certificate(given, key, now())
        assert key.decode().splitlines()[1] not in caught.value.told()


def test_a_key_that_was_damaged_while_it_waited_is_told(authority: Authority) -> None:
    pem = authority.sign(make_request(make_key(), "hub7"))
    other = ec.generate_private_key(ec.SECP256R1())
    assert other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # such a one would only not fit
    with pytest.raises(ConfigError, match="cannot be read"):
        check_certificate(pem, b"-----BEGIN PRIVATE KEY-----", now())
