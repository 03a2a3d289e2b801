"""What may leave a station for people who help: numbers and the agent's own words; all else becomes a token.

Rules: what is kept is listed here, never what is taken out; an unknown key or text is somebody's name until it is known
to be ours. One text has one token within a bundle, by a key that is forgotten with it, so that the same camera can be
followed and nobody can find out which one it was.
"""

import hashlib
import hmac
import math
import re
from collections.abc import Iterable

from agent.core.bay import Advice, Phase
from agent.core.clip import Copy, Custody
from agent.core.custody import JsonValue
from agent.core.disposal_policy import MEDIUM_REFUSALS, REFUSALS
from agent.core.object import ReceiptKind
from agent.core.profile import Access, Role
from agent.core.renewal_policy import Step, Subject

TOKEN_CHARS = 12
MAX_DEPTH = 12
KEYS = frozenset(
    """
    actor address advice announced announcements asks_person at attempt attempts bandwidth battery_percent bay
    before boot bytes camera camera_copy claimed_by clip clips code config confirmed copies copies_failed count
    counts delay_ms done_bytes drain driver ends error event events exception expected failures file_system firmware
    found free_bytes head health held held_back hint hold hub id kind left level limit limit_bits_s listed lost
    made_at marked model monotonic_us mtime_ns name names next_at not_wiped note notices object objects occupied ok
    open_streams other other_names outcome path path_hex paused phase place prev problem problems profile
    quarantined queue rate_bytes_s ready reason requested require reserve_bytes role route seconds seized sent_bytes
    seq session set_aside sha256 shown size size_bytes spool spool_bytes spool_objects spooled state station step
    store stores strike strikes subject taken timestamp tool total_bytes totals trial uncopied uncopied_names
    unknown_objects until until_s upload uploading uploads urgent url usb version waiting waits why wiped wiping
    witness_digest witness_seq yielding
    """.split()  # noqa: SIM905 - a list of one word a line would be longer than the module
) | {*REFUSALS, *MEDIUM_REFUSALS}
"""Keys of views, events and log lines. Those of the configuration come from its own tables."""
EVENT_NOUNS = frozenset(
    """
    agent announcement api bandwidth bay camera cli clip config copy depot desk dock drain files helper ledger object
    offload queue reader request session spool station store stream upload web
    """.split()  # noqa: SIM905 - as above
)
_NAMED = frozenset(
    {"actor", "bay", "camera", "claimed_by", "clip", "id", "name", "names", "object", "station", "store"}
)
_EVENT_KEYS = frozenset({"event", "code", "error"})
_LEVELS = ("debug", "info", "warning", "error", "critical")
_QUEUE_STATES = ("uploading", "waiting", "paused", "held_back", "set_aside")
_DRIVERS = ("folder", "mass_storage", "mtp", "simulated")
_OUTCOMES = ("undocked", "released", "failed", "agent_restarted")
WORDS = frozenset(
    [
        *map(str, [*Advice, *Phase, *Custody, *Copy, *Role, *Access, *Subject]),
        *(step.word for step in Step),
        *(kind.word for kind in ReceiptKind),
        *(*_LEVELS, *_QUEUE_STATES, *_DRIVERS, *_OUTCOMES),
        *("none", "empty", "governance", "compliance", "vfat", "exfat", "ext4", "unknown"),
        *("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
    ]
)
_SENTENCES = frozenset([*REFUSALS.values(), *MEDIUM_REFUSALS.values()])
_LEAST_SENTENCE = 20
_EVENT = re.compile(r"([a-z]+)\.[a-z_]{1,40}")
_PLAIN = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)"  # a moment
    r"|\d\d:\d\d"  # an hour of the day
    r"|\d{1,6}(\.\d{1,3})? [kMG]bit/s"
    r"|[0-9a-f]{4}:[0-9a-f]{4}"  # a USB id: a model of camera, never one camera
)
_SCHEME = re.compile(r"(tus\+https?|s3\+https?|https?|file|axis):")


class Redactor:
    """Lets through what is listed, with tokens of one bundle for the rest."""

    def __init__(self, key: bytes, *, keys: Iterable[str] = (), sentences: Iterable[str] = ()) -> None:
        """`key` is random and kept nowhere; `keys` and `sentences` are more words of our own."""
        self._key = key
        self._keys = KEYS | frozenset(keys)
        self._sentences = _SENTENCES | {text for text in sentences if len(text) >= _LEAST_SENTENCE}

    def value(self, value: JsonValue, depth: int = 0, key: str = "") -> JsonValue:
        """A value of any depth; what lies too deep is left out. `key` is the one that it stands under."""
        if isinstance(value, str):
            # Anywhere else, what looks like an event is the name of somebody or something.
            return value if key in _EVENT_KEYS and is_event(value) else self.text(value)
        if not isinstance(value, list | dict):
            return self._plain(value, key)
        if depth >= MAX_DEPTH:
            return None
        if isinstance(value, list):
            return [self.value(each, depth + 1, key) for each in value]
        return {self._name(name): self.value(each, depth + 1, name) for name, each in value.items()}

    def _plain(self, value: float | None, key: str) -> JsonValue:
        """A number stays where only a count, a size or a time can stand: a camera's or person's may be one, too."""
        named = key in _NAMED or (bool(key) and self._name(key) != key)
        finite = isinstance(value, bool | None) or math.isfinite(value)
        return self.token(str(value)) if not finite or (named and not isinstance(value, bool | None)) else value

    def text(self, text: str) -> str:
        """A word of ours as it is; anything else as its token, with the sentences of ours that stand in it."""
        if text in WORDS or _PLAIN.fullmatch(text):
            return text
        scheme = _SCHEME.match(text)
        ours = sorted(sentence for sentence in self._sentences if sentence in text)
        return " ".join([(scheme[0] if scheme else "") + self.token(text), *ours])

    def _name(self, key: str) -> str:
        return key if key in self._keys or key in WORDS else self.token(key)

    def token(self, text: str) -> str:
        """The same for the same text within a bundle."""
        raw = text.encode("utf-8", "surrogatepass")
        return f"~{hmac.new(self._key, raw, hashlib.sha256).hexdigest()[:TOKEN_CHARS]}"


def is_event(text: str) -> bool:
    """Whether this is a name of an event or an error code: `noun.what`, with a noun of ours."""
    found = _EVENT.fullmatch(text)
    return found is not None and found[1] in EVENT_NOUNS
