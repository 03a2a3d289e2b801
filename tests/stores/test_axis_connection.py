"""Which connection files are accepted, and that what is secret in them is never told."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.core.errors import ConfigError
from agent.stores.axis_connection import MAX_BYTES, AxisConnection
from tests.fakes.axis_server import KEY, USER
from tests.stores.axis_try import encryption, open_axis, write_connection
from tests.stores.certificates import Authority

GOOD: dict[str, Any] = {
    "ConnectionFileVersion": "1.0",
    "SiteName": "site",
    "ApplicationName": "application",
    "ApplicationVersion": "2.1",
    "ContentDestinationAsNTPServer": False,
    "AuthenticationTokenURI": ["https://evidence.example:8080/auth/v1.0"],
    "BlobAPIKey": KEY,
    "BlobAPIUserName": USER,
}


def public_key(key: Any) -> str:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(pem).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "connection.json"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"Surprise": 1}, "Surprise"),
        ({"ConnectionFileVersion": "2.0"}, "ConnectionFileVersion"),
        ({"SiteName": "x" * 65}, "SiteName"),
        ({"SiteName": None}, "SiteName"),
        ({"ApplicationVersion": "x" * 129}, "ApplicationVersion"),
        ({"AuthenticationTokenURI": []}, "AuthenticationTokenURI"),
        ({"AuthenticationTokenURI": "https://evidence.example/auth/v1.0"}, "AuthenticationTokenURI"),
        ({"AuthenticationTokenURI": ["https://evidence.example/auth/v1.0"] * 11}, "AuthenticationTokenURI"),
        ({"AuthenticationTokenURI": ["https://evidence.example/" + "x" * 512]}, "AuthenticationTokenURI.0"),
        ({"AuthenticationTokenURI": ["https://evidence.example"]}, "no path"),
        ({"AuthenticationTokenURI": ["ftp://evidence.example/auth"]}, "cannot be read"),
        ({"AuthenticationTokenURI": ["https://a:b@evidence.example/auth"]}, "user"),
        ({"AuthenticationTokenURI": ["http://evidence.example/auth/v1.0"]}, "in the clear"),
        ({"HTTPSCertificate": ["x" * 16385]}, "HTTPSCertificate.0"),
        ({"HTTPSCertificate": ["not base64!"]}, "no certificate"),
        ({"HTTPSCertificate": [base64.b64encode(b"no certificate").decode()]}, "no certificate"),
        ({"BlobAPIKey": ""}, "BlobAPIKey"),
        ({"BlobAPIKey": "secret\r\nX-Auth-Token: stolen"}, "BlobAPIKey: must be printable"),
        ({"BlobAPIKey": 7}, "BlobAPIKey"),
        ({"BlobAPIUserName": "x" * 65}, "BlobAPIUserName"),
        ({"ContainerType": "avi"}, "ContainerType"),
        ({"FullStoreAndReadSupport": "yes"}, "FullStoreAndReadSupport"),
        ({"WantEncryption": True}, "needs PublicKey"),
        ({"PublicKey": "eA==", "PublicKeyId": "k"}, "WantEncryption is not true"),
        ({**encryption(), "PublicKey": "eA=="}, "no public key"),
        ({**encryption(), "PublicKey": "x" * 2049}, "PublicKey"),
        ({**encryption(), "PublicKey": public_key(generate_ec_key(SECP256R1()))}, "no RSA key"),
        ({**encryption(), "PublicKey": public_key(generate_private_key(65537, 1024))}, "2048 bits"),  # noqa: S505
    ],
)
def test_a_file_that_breaks_the_specification_is_refused_by_name_and_without_its_secrets(
    file: Path, more: dict[str, Any], words: str
) -> None:
    write_connection(file, {**GOOD, **more})
    with pytest.raises(ConfigError, match=words) as caught:
        open_axis(file)
    told = caught.value.told() + repr(caught.value.__cause__)
    assert KEY not in told
    assert "stolen" not in told
    assert USER not in told
    assert caught.value.hint


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "JSON"),
        (b"[]", "valid dictionary"),
        (b"\xff\xfe{}", "JSON"),
        (b"[" * 50_000, "JSON"),
        (json.dumps(GOOD).encode()[:-1] + b',"BlobAPIKey": "another"}', "twice"),
        (b" " * (MAX_BYTES + 1), "larger than 65536"),
        (json.dumps(GOOD).encode() + b" " * (MAX_BYTES + 1 - len(json.dumps(GOOD))), "larger than 65536"),
    ],
    ids=["empty", "list", "not UTF-8", "deep", "doubled", "blank", "one byte too many"],
)
def test_what_is_no_small_document_is_refused(file: Path, data: bytes, words: str) -> None:
    write_connection(file, data)
    with pytest.raises(ConfigError, match=words) as caught:
        AxisConnection.read(file)
    assert KEY not in str(caught.value)


def test_the_largest_file_that_is_allowed_is_read(file: Path) -> None:
    text = json.dumps(GOOD).encode()
    write_connection(file, text + b" " * (MAX_BYTES - len(text)))
    assert AxisConnection.read(file).site == "site"


def test_a_file_that_other_users_can_read_is_refused(file: Path) -> None:
    write_connection(file, GOOD)
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="other users can read it") as caught:
        AxisConnection.read(file)
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_what_is_no_file_is_refused_at_once(file: Path, kind: str) -> None:
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    with pytest.raises(ConfigError):
        AxisConnection.read(file)


async def test_a_file_as_the_published_example_writes_it_is_accepted(file: Path) -> None:
    example = {
        **{key: value for key, value in GOOD.items() if key != "ContentDestinationAsNTPServer"},
        "BlobAPI": "Swift 1.0",
        "ContainerType": "mkv",
        "WantEncryption": False,
        "PublicKey": "",
        "PublicKeyId": "",
        "FullStoreAndReadSupport": False,
    }
    write_connection(file, example)
    opened = open_axis(file)
    assert not opened.same_machine
    await opened.store.close()


def test_nothing_secret_is_in_what_a_connection_looks_like(file: Path) -> None:
    found = AxisConnection.read(write_connection(file, GOOD))
    assert KEY not in repr(found) + str(found)
    assert USER not in repr(found) + str(found)


@pytest.mark.parametrize("key", ["credential", "ca", "receipt_key"])
def test_what_a_destination_has_no_use_for_is_refused(file: Path, key: str) -> None:
    write_connection(file, GOOD)
    with pytest.raises(ConfigError, match=f"no use for {key}"):
        open_axis(file, **{key: file})


def test_a_pinned_certificate_and_plain_http_do_not_go_together(file: Path, tmp_path: Path) -> None:
    pin = base64.b64encode(Authority(tmp_path, "ca").path.read_bytes()).decode()
    uris = ["http://127.0.0.1:8080/auth/v1.0"]
    write_connection(file, {**GOOD, "HTTPSCertificate": [pin], "AuthenticationTokenURI": uris})
    with pytest.raises(ConfigError, match="plain http"):
        open_axis(file)


def test_behind_a_proxy_plain_http_leaves_this_machine_even_for_a_loopback_address(file: Path) -> None:
    write_connection(file, {**GOOD, "AuthenticationTokenURI": ["http://127.0.0.1:8080/auth/v1.0"]})
    with pytest.raises(ConfigError, match="in the clear"):
        open_axis(file, proxy="http://proxy.example:3128")


async def test_a_destination_is_on_this_machine_if_any_of_its_addresses_is(file: Path) -> None:
    uris = [*GOOD["AuthenticationTokenURI"], "https://127.0.0.1:8080/auth/v1.0"]
    opened = open_axis(write_connection(file, {**GOOD, "AuthenticationTokenURI": uris}))
    assert opened.same_machine
    assert opened.store.place == f"axis:{file}"
    await opened.store.close()
