"""A client that others wrote: tuspy."""

from pathlib import Path

from tusclient.client import TusClient

from agent.depot.listing import list_uploads
from tests.depot.station import Station, digest_of, pattern


def client_of(station: Station) -> TusClient:
    return TusClient(station.url, headers={"Authorization": f"Bearer {station.token}"})


def test_tuspy_uploads_a_file_in_pieces_with_checksums(station: Station, place: Path, tmp_path: Path) -> None:
    data = pattern(2_500_000)
    file = tmp_path / "clip.mp4"
    file.write_bytes(data)
    with file.open("rb") as stream:
        client_of(station).uploader(
            file_stream=stream, chunk_size=700_000, metadata={"filename": "clip.mp4"}, upload_checksum=True
        ).upload()
    assert (place / "objects" / digest_of(data)).read_bytes() == data
    assert list_uploads(place)[0]["name"] == "clip.mp4"


def test_tuspy_goes_on_where_an_earlier_run_stopped(station: Station, place: Path, tmp_path: Path) -> None:
    data = pattern(2_500_000)
    file = tmp_path / "clip.mp4"
    file.write_bytes(data)
    with file.open("rb") as stream:
        first = client_of(station).uploader(file_stream=stream, chunk_size=1_000_000)
        first.upload(stop_at=1_000_000)
    with file.open("rb") as stream:
        second = client_of(station).uploader(file_stream=stream, chunk_size=1_000_000, url=first.url)
        assert second.offset == 1_000_000
        second.upload()
    assert (place / "objects" / digest_of(data)).read_bytes() == data
    assert len(list_uploads(place)) == 1
