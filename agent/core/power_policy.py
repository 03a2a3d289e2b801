"""May the power of a docked camera's port be cut, to free one that has stopped answering.

Rules: pure and total; every refusal has a stable reason that operators see. A seized camera is never power-cycled, and
one of which nobody knows which camera it is might be one. Source: design section 3.
"""

from dataclasses import dataclass

from agent.core.disposal_policy import Allow, Refuse


@dataclass(frozen=True, slots=True)
class PowerFacts:
    """What is known at the moment of the decision."""

    at_usb_port: bool
    profile_allows: bool  # every profile that may describe this camera says `[power] may_cut = true`
    station_owns_port: bool  # and none leaves the port to a controller of the maker's
    identified: bool  # which camera it is, is known
    seized: bool  # this camera, if identified
    any_seized: bool  # any camera at all, on this station's word
    window_open: bool  # or one of this docking ended badly, so that the medium may still be being written
    cut_often: bool  # this port has lost power again and again a short while ago


def may_cut_power(facts: PowerFacts) -> Allow | Refuse:
    """Decide whether a camera that hangs may lose its power for a moment."""
    if not facts.at_usb_port:
        return Refuse("no_usb_port")
    if facts.seized:
        return Refuse("camera_seized")
    if not facts.identified and facts.any_seized:
        return Refuse("may_be_seized")
    if facts.window_open:
        return Refuse("window_open")
    if not facts.profile_allows:
        return Refuse("not_in_profile")
    if not facts.station_owns_port:
        return Refuse("not_our_port")
    if facts.cut_often:
        return Refuse("cut_often")
    return Allow()


REFUSALS: dict[str, str] = {
    "no_usb_port": "it is not at a USB port",
    "camera_seized": "the camera is seized: nobody may change it",
    "may_be_seized": "nobody knows which camera it is, and it might be a seized one",
    "window_open": "it is being written to",
    "not_in_profile": "its profile does not allow that ([power] may_cut)",
    "not_our_port": "its profile leaves the port to another controller ([power] owner)",
    "cut_often": "its port lost power again and again in the last minutes, and that did not help",
    "no_switch": "this hub cannot switch the port",
}
