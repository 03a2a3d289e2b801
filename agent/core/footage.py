"""What looks like footage when no rule of a profile names it.

Rules: the one list of endings by which the agent knows media; the profile for folders that a person hands over takes
exactly these (a test compares them). An ending only calls a person: it never makes a file a clip.
Source: the containers, elementary streams, sound and stills that body-worn, dashboard and action cameras write, with
their small copies (LRV, THM, INSV of action cameras).
"""

_CONTAINERS = "mp4 mov avi mkv ts m4v 3gp 3g2 mpg mpeg asf wmv dav mts m2ts m2t webm flv f4v mxf vob ogv lrv insv 360"
_STREAMS = "h264 h265 264 265 avc hevc mjpg mjpeg"
_SOUND = "wav mp3 m4a aac amr ogg oga opus flac wma"
_STILLS = "jpg jpeg png heic heif dng thm insp"
MEDIA_SUFFIXES: tuple[bytes, ...] = tuple(
    f".{ending}".encode() for ending in f"{_CONTAINERS} {_STREAMS} {_SOUND} {_STILLS}".split()
)
"""Small letters, with the dot."""
LARGE_BYTES = 1 << 20
"""Nothing but footage is expected to be that large on a camera."""


def looks_like_footage(path: bytes, size_bytes: int) -> bool:
    """Tell whether a file that no rule names should worry somebody: by its ending, or because it is large."""
    return path.lower().endswith(MEDIA_SUFFIXES) or size_bytes >= LARGE_BYTES
