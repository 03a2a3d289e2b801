"""Real, decodable video for simulated cameras: H.264 and AAC in an MP4, cheap enough to make by the dozen.

Rules: the same arguments give the same bytes on one machine; different seeds give different bytes. Encoding is
done once for each size; a seed only changes a `free` box at the end, which players skip.
Source: ISO/IEC 14496-12 (a box is its size in 4 bytes, its type in 4, its content; `free` may hold anything).
"""

import io
import math
import random
from array import array
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from av.container import OutputContainer

WIDTH, HEIGHT = 640, 384
FRAMES_PER_S, SECONDS = 12, 3
AUDIO_RATE_HZ = 48_000
CLIP_MIN_BYTES = 96_000
"""Picture and sound without any noise, with room to spare."""
CLIP_MAX_BYTES = 256_000_000
"""All of a clip is built in memory."""
_QUANTIZER = "20"
_BYTES_PER_NOISE_ROW = 20_000  # measured at this quantizer: 0.87 bytes per pixel, 36 frames
_BLOCK_ROWS = 16  # an H.264 macroblock: noise in half a block costs a whole one
_COUNTER_ROWS, _COUNTER_BITS = 64, 16
_AUDIO_FRAME_SAMPLES = 1024
_BOX_HEAD_BYTES = 8


def make_clip(*, seed: int, size_bytes: int) -> bytes:
    """Make a clip of exactly this size. Raises ValueError outside CLIP_MIN_BYTES to CLIP_MAX_BYTES.

    Up to some 6 MB nearly all of it is picture; a larger clip is filled up with bytes that players skip.
    """
    if not CLIP_MIN_BYTES <= size_bytes <= CLIP_MAX_BYTES:
        raise ValueError(f"a clip has {CLIP_MIN_BYTES} to {CLIP_MAX_BYTES} bytes, not {size_bytes}")
    rows = (size_bytes - CLIP_MIN_BYTES) // _BYTES_PER_NOISE_ROW // _BLOCK_ROWS * _BLOCK_ROWS
    movie = _encode(min(rows, HEIGHT - _COUNTER_ROWS))
    filling_bytes = size_bytes - len(movie) - _BOX_HEAD_BYTES
    filling = random.Random(seed).randbytes(filling_bytes)  # noqa: S311 - reproducible, not secret
    return movie + (filling_bytes + _BOX_HEAD_BYTES).to_bytes(4, "big") + b"free" + filling


def without_index(clip: bytes) -> bytes:
    """Cut a clip before its `moov` box, as a camera leaves it that lost power while recording."""
    at = 0
    while clip[at + 4 : at + 8] != b"moov":
        at += int.from_bytes(clip[at : at + 4], "big")
    return clip[:at]


@lru_cache(maxsize=8)
def _encode(noise_rows: int) -> bytes:
    out = io.BytesIO()
    # bitexact keeps the muxer's version and the time of day out of the file
    with av.open(out, "w", format="mp4", options={"fflags": "+bitexact"}) as movie:
        _encode_picture_and_sound(movie, noise_rows)
    return out.getvalue()


def _encode_picture_and_sound(movie: "OutputContainer", noise_rows: int) -> None:
    video = movie.add_stream("libx264", rate=FRAMES_PER_S)
    video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    # One thread and a constant quantizer: the same bytes every time, and a size in proportion to the noise.
    video.options = {"preset": "ultrafast", "qp": _QUANTIZER, "threads": "1"}
    sound = movie.add_stream("aac", rate=AUDIO_RATE_HZ)
    for frame in _pictures(noise_rows):
        movie.mux(video.encode(frame))
    movie.mux(video.encode(None))
    for samples in _sounds():
        movie.mux(sound.encode(samples))
    movie.mux(sound.encode(None))


def _pictures(noise_rows: int) -> Iterator[av.VideoFrame]:
    """Draw a frame counter in black and white squares, a moving grey wedge, and noise, which costs bytes."""
    source = random.Random(noise_rows)  # noqa: S311 - reproducible, not secret
    noise = source.randbytes(2 * WIDTH * HEIGHT)
    wedge_rows = HEIGHT - _COUNTER_ROWS - noise_rows
    for number in range(FRAMES_PER_S * SECONDS):
        squares = b"".join(
            bytes([235 if number >> bit & 1 else 16]) * (WIDTH // _COUNTER_BITS)
            for bit in reversed(range(_COUNTER_BITS))
        )
        wedge = bytes(16 + (x + 8 * number) % WIDTH * 200 // WIDTH for x in range(WIDTH))
        start = source.randrange(WIDTH * HEIGHT)
        luma = squares * _COUNTER_ROWS + wedge * wedge_rows + noise[start : start + WIDTH * noise_rows]
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane, content in zip(
            frame.planes, (luma, b"\x80" * (len(luma) // 4), b"\x80" * (len(luma) // 4)), strict=True
        ):
            plane.update(content)
        frame.pts = number
        yield frame


def _sounds() -> Iterator[av.AudioFrame]:
    """Play a quiet tone of 440 Hz."""
    for start in range(0, AUDIO_RATE_HZ * SECONDS, _AUDIO_FRAME_SAMPLES):
        turn = 2 * math.pi * 440 / AUDIO_RATE_HZ
        wave = array("f", (0.1 * math.sin(turn * at) for at in range(start, start + _AUDIO_FRAME_SAMPLES)))
        frame = av.AudioFrame(format="fltp", layout="mono", samples=_AUDIO_FRAME_SAMPLES)
        frame.rate, frame.pts = AUDIO_RATE_HZ, start
        frame.planes[0].update(wave.tobytes())
        yield frame
