"""Small things on the way to an S3 store: keys, hints, labels, addresses, sizes of parts."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from agent.core.clip import BayName, CameraId, ClipId
from agent.core.errors import ConfigError
from agent.core.object import EMPTY_DIGEST, Digest
from agent.ports import ClipLabel, Shipment
from agent.stores.s3_address import S3Address
from agent.stores.s3_credential import S3Credential
from agent.stores.s3_hint import MAX_PARTS, S3Hint
from agent.stores.s3_metadata import MAX_BYTES, s3_metadata
from agent.stores.s3_part import MOST_BYTES, MOST_PARTS, PART_BYTES, PART_S, PartSizes
from agent.stores.s3_signature import S3Signature
from tests.contracts.store_place import make_shipment

META = "x-amz-meta-"
KEY_URL = f"https://store.example:443/evidence/hub/objects/{EMPTY_DIGEST}"


def test_a_hint_comes_back_as_it_was_kept() -> None:
    hint = S3Hint("2~upload/id+x=", PART_BYTES).with_etag(1, "a" * 32).with_etag(3, "b" * 32 + "-7")
    assert S3Hint.parse(hint.text()) == hint
    assert [hint.etag(number) for number in (1, 2, 3, 4)] == ["a" * 32, None, "b" * 32 + "-7", None]


@given(
    st.text()
    | st.sampled_from(["{}", "[]", "null", "[" * 30, '{"upload": 1, "part": 5, "etags": []}', "http://h/files/u"])
)
def test_no_text_breaks_the_reading_of_hints(text: str) -> None:
    assert S3Hint.parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"upload": "two words", "part": 5, "etags": []}',
        '{"upload": "u", "part": true, "etags": []}',
        '{"upload": "u", "part": 5, "etags": {}}',
        f'{{"upload": "u", "part": 5, "etags": [{", ".join(["null"] * (MAX_PARTS + 1))}]}}',
        f'{{"upload": "{"u" * 513}", "part": 5, "etags": []}}',
    ],
)
def test_a_hint_out_of_bounds_is_none(text: str) -> None:
    assert S3Hint.parse(text) is None


def test_tags_that_could_break_a_document_are_not_believed() -> None:
    hint = S3Hint.parse('{"upload": "u", "part": 5, "etags": ["<x/>", 7, "good"]}')
    assert hint is not None
    assert hint.etags == (None, None, "good")


@given(st.integers(min_value=0, max_value=50 << 40))
def test_there_are_never_too_many_parts_and_never_larger_ones_than_needed(size_bytes: int) -> None:
    part_bytes = PartSizes().of(size_bytes)
    assert size_bytes <= part_bytes * MOST_PARTS
    assert part_bytes == PART_BYTES or size_bytes > part_bytes // 2 * MOST_PARTS


@given(st.integers(min_value=1, max_value=50 << 40), st.floats(min_value=1.0, max_value=1e12))
def test_a_part_takes_about_as_long_on_any_line_and_can_be_told_from_the_number_of_parts(
    size_bytes: int, rate_bytes_s: float
) -> None:
    sizes = PartSizes()
    sizes.arrived(1 << 30, (1 << 30) / rate_bytes_s)
    part_bytes = sizes.of(size_bytes)
    assert size_bytes <= part_bytes * MOST_PARTS
    if part_bytes > PART_BYTES and size_bytes <= part_bytes // 2 * MOST_PARTS:
        assert part_bytes <= min(rate_bytes_s * PART_S * 1.001, MOST_BYTES)
        event("grown for the line")
    elif rate_bytes_s * PART_S >= 2.001 * part_bytes:
        assert part_bytes >= MOST_BYTES
        event("as large as they become")
    fresh = PartSizes()  # another run, which has measured nothing
    assert fresh.may_be(part_bytes, size_bytes)
    count = -(-size_bytes // part_bytes)
    told = fresh.counted(size_bytes, count)
    assert told is not None
    assert -(-size_bytes // told) == count
    if count > 1:
        assert told == part_bytes


def test_a_size_of_parts_that_is_none_of_ours_is_not_gone_on_with() -> None:
    sizes = PartSizes()
    for part_bytes in (-1, 0, 5, PART_BYTES - 1, PART_BYTES + 1, MOST_BYTES * 2):
        assert not sizes.may_be(part_bytes, 1 << 30)
    assert sizes.may_be(MOST_BYTES * 2, MOST_BYTES * 2 * MOST_PARTS)
    assert sizes.counted(1 << 30, 7) is None


def test_parts_of_a_fixed_size_stay_as_they_are_on_any_line() -> None:
    sizes = PartSizes(1 << 20)
    sizes.arrived(1 << 30, 0.1)
    assert sizes.of(1 << 30) == 1 << 20


@given(path=st.binary(min_size=1, max_size=3000), text=st.text(max_size=800))
def test_the_label_is_bounded_plain_ascii_and_says_what_was_cut(path: bytes, text: str) -> None:
    label = ClipLabel(
        clip=ClipId("c1"),
        camera=CameraId(text),
        bay=BayName("1"),
        station="hub7",
        path=path,
        role="clip",
        event=False,
        started_at=None,
        ended_at=None,
        officer=text,
    )
    headers = s3_metadata(Shipment(EMPTY_DIGEST, 0, Path("x"), label))
    found = {name.removeprefix(META): value for name, value in headers.items() if name.startswith(META)}
    assert sum(len(name) + len(value) for name, value in found.items()) <= MAX_BYTES
    assert all(value.isascii() and value.isprintable() and " " not in value for value in found.values())
    cut = found.get("cut", "").split(",")
    assert (unquote_to_bytes(found.get("name", "")) == path) != ("name" in cut)
    assert (unquote_to_bytes(found.get("camera", "")) == text.encode("utf-8", "replace")) != ("camera" in cut)


def test_a_camera_name_with_lines_cannot_break_the_headers(tmp_path: Path) -> None:
    shipment = make_shipment(tmp_path, b"x")
    nasty = replace(shipment.label, camera=CameraId("a\r\nX-Evil: 1"))
    assert s3_metadata(replace(shipment, label=nasty))[META + "camera"] == "a%0D%0AX-Evil:%201"


def test_a_handle_names_one_object_in_one_bucket() -> None:
    address = S3Address.of("https://store.example/evidence/hub")
    assert address.handle(EMPTY_DIGEST, None) == KEY_URL
    assert address.handle(EMPTY_DIGEST, "null") == KEY_URL
    assert address.handle(EMPTY_DIGEST, "a+b/c=") == f"{KEY_URL}?versionId=a%2Bb%2Fc%3D"
    assert address.is_of(f"{KEY_URL}?versionId=x", EMPTY_DIGEST)
    for other in ("", f"{KEY_URL}0", f"{KEY_URL}?x=1", KEY_URL.replace("hub", "hub2"), KEY_URL.replace("443", "444")):
        assert not address.is_of(other, EMPTY_DIGEST)
    assert not address.is_of(KEY_URL, Digest("ab" * 32))


@pytest.mark.parametrize("version", ["two words", "x" * 1025, "caf\u00e9", ""])
def test_a_version_that_cannot_be_one_is_not_kept(version: str) -> None:
    assert S3Address.of("https://store.example/evidence/hub").handle(EMPTY_DIGEST, version) == KEY_URL


def test_a_key_pair_is_read_from_its_file_and_stays_out_of_sight(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("AKIAEXAMPLE\nabc+/DEF=\n")
    pair = S3Credential.read(tmp_path / "key")
    assert (pair.key_id, pair.secret) == ("AKIAEXAMPLE", "abc+/DEF=")
    assert "abc" not in repr(pair) + repr(S3Signature(pair, "us-east-1"))


def test_a_third_line_is_a_session_token_that_is_sent_signed_and_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("ASIAEXAMPLE\nsecret\nIQoJb3JpZ2lu//token==\n")
    lent = S3Credential.read(file)
    signature = S3Signature(lent, "us-east-1")
    headers = signature.headers("GET", KEY_URL)
    assert headers["X-Amz-Security-Token"] == "IQoJb3JpZ2lu//token=="
    assert "x-amz-security-token" in headers["Authorization"]
    assert "IQoJ" not in repr(lent) + repr(signature)
    file.write_text("ASIAEXAMPLE\nsecret\nnewer\n")
    assert lent.renew()
    assert signature.headers("GET", KEY_URL)["X-Amz-Security-Token"] == "newer"
    file.write_text("AKIAEXAMPLE\nsecret\n")
    assert lent.renew()
    assert "X-Amz-Security-Token" not in signature.headers("GET", KEY_URL)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "only-one",
        "one\ntwo\nthree\nfour",
        "one\ntwo\ncaf\u00e9",
        "bad/id\nsecret",
        "id\ncaf\u00e9",
        "x" * 5000,
    ],
)
def test_a_file_that_holds_no_key_pair_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        S3Credential.read(tmp_path / "key")
    assert not text or text not in str(caught.value) + caught.value.hint


def test_a_file_that_cannot_be_read_again_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("id\nsecret\n")
    pair = S3Credential.read(file)
    assert not pair.renew()
    file.write_text("id\n")
    assert not pair.renew()
    file.unlink()
    assert not pair.renew()
    assert (pair.key_id, pair.secret) == ("id", "secret")


def test_the_signature_covers_secret_region_method_address_and_body() -> None:
    made = {
        S3Signature(S3Credential("id", secret), region).headers(method, url, {}, body)["Authorization"][-64:]
        for secret in ("one", "two")
        for region in ("us-east-1", "eu-west-2")
        for method in ("GET", "PUT")
        for url in ("https://h/b/k", "https://h/b/k?partNumber=1")
        for body in ("0" * 64, "1" * 64)
    }
    assert len(made) == 32


def test_a_station_without_such_a_store_does_not_load_the_library_that_signs() -> None:
    code = "import sys, agent.app; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0  # noqa: S603 - us
