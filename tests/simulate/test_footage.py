"""Generated footage is real: other software can decode it, and its bytes are reproducible."""

import io
import time

import av
import pytest

from agent.simulate.footage import (
    CLIP_MAX_BYTES,
    CLIP_MIN_BYTES,
    FRAMES_PER_S,
    HEIGHT,
    SECONDS,
    WIDTH,
    make_clip,
    without_index,
)

SIZES = [CLIP_MIN_BYTES, CLIP_MIN_BYTES + 1, 800_000, 3_000_000, 9_000_000]


def boxes(clip: bytes) -> list[bytes]:
    """Walk the boxes of an MP4 to its very end."""
    found, at = [], 0
    while at < len(clip):
        found.append(clip[at + 4 : at + 8])
        at += int.from_bytes(clip[at : at + 4], "big")
    assert at == len(clip)
    return found


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_clip_has_exactly_the_size_asked_for_and_whole_boxes(size_bytes: int) -> None:
    clip = make_clip(seed=1, size_bytes=size_bytes)
    assert len(clip) == size_bytes
    kinds = boxes(clip)
    assert kinds[0] == b"ftyp"
    assert kinds[-1] == b"free"
    assert {b"mdat", b"moov"} <= set(kinds)


@pytest.mark.parametrize("size_bytes", [CLIP_MIN_BYTES, 3_000_000])
def test_picture_and_sound_decode_completely(size_bytes: int) -> None:
    with av.open(io.BytesIO(make_clip(seed=7, size_bytes=size_bytes)), "r") as movie:
        assert [stream.codec_context.name for stream in movie.streams] == ["h264", "aac"]
        frames = list(movie.decode(video=0))
    assert len(frames) == FRAMES_PER_S * SECONDS
    assert {(frame.width, frame.height) for frame in frames} == {(WIDTH, HEIGHT)}
    with av.open(io.BytesIO(make_clip(seed=7, size_bytes=size_bytes)), "r") as movie:
        samples = sum(frame.samples for frame in movie.decode(audio=0))
    assert samples >= 48_000 * SECONDS


def test_the_frame_counter_can_be_read_off_the_picture() -> None:
    with av.open(io.BytesIO(make_clip(seed=7, size_bytes=800_000)), "r") as movie:
        for number, frame in enumerate(movie.decode(video=0)):
            luma, line = bytes(frame.planes[0]), frame.planes[0].line_size
            squares = [luma[32 * line + 20 + 40 * column] > 128 for column in range(16)]
            assert int("".join("01"[white] for white in squares), 2) == number


def test_most_of_a_clip_of_a_few_megabytes_is_picture() -> None:
    clip = make_clip(seed=1, size_bytes=3_000_000)
    assert len(without_index(clip)) > 0.8 * len(clip)


def test_a_seed_names_the_bytes() -> None:
    one = make_clip(seed=1, size_bytes=800_000)
    assert one == make_clip(seed=1, size_bytes=800_000)
    assert len({make_clip(seed=seed, size_bytes=800_000) for seed in range(20)}) == 20


def test_encoding_again_gives_the_same_bytes() -> None:
    from agent.simulate import footage  # noqa: PLC0415 - reaches for the cache

    one = make_clip(seed=1, size_bytes=800_000)
    footage._encode.cache_clear()
    assert make_clip(seed=1, size_bytes=800_000) == one


def test_a_clip_without_its_index_cannot_be_opened() -> None:
    clip = make_clip(seed=1, size_bytes=800_000)
    cut = without_index(clip)
    assert clip.startswith(cut)
    assert b"moov" not in boxes(cut)
    with pytest.raises(av.error.InvalidDataError):
        av.open(io.BytesIO(cut), "r")


@pytest.mark.parametrize("size_bytes", [0, CLIP_MIN_BYTES - 1, CLIP_MAX_BYTES + 1])
def test_a_size_that_cannot_be_made_is_refused(size_bytes: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        make_clip(seed=1, size_bytes=size_bytes)


def test_a_card_full_of_clips_takes_little_time() -> None:
    started = time.perf_counter()
    for seed in range(30):
        make_clip(seed=seed, size_bytes=3_000_000)
    assert time.perf_counter() - started < 10  # about half a second where nothing else runs
