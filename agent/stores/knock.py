"""Asks a store once whether it takes this station's credential or certificate. Nothing is left there.

Rules: what is asked for is an object that cannot exist, because many servers answer their own capabilities to anybody.
Only an answer of the store itself is a yes; an error that has nothing to do with who asks is raised as what it is. An
S3 store knows keys that may do nothing in this bucket, so there an upload is begun and given up as well, as the adapter
begins one.
"""

import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING

from agent.core.errors import ConfigError, StoreError, StoreRefused
from agent.core.object import Digest
from agent.ports import Clock
from agent.stores.answer import Answer, CredentialRefused, NotTheStore, refusal
from agent.stores.client import s3_parts, tus_parts
from agent.stores.control import Control
from agent.stores.probes.scratch import scratch
from agent.stores.proxy import ProxyCredentialRefused
from agent.stores.remote import Remote
from agent.stores.settings import StoreSettings
from agent.stores.standing import Standing

if TYPE_CHECKING:
    from agent.stores.s3_uploads import S3Uploads

_TUS = {"Tus-Resumable": "1.0.0"}
_NOTHING_THERE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
CALL_S = 30.0


class RightsMissing(StoreRefused):
    """The store knows the key, as far as it says, and does not let it do here what an upload needs."""

    hint = (
        "Give the key its rights for this bucket at the store (stores.md lists them), or bring one that has them;"
        " look at the bucket in the store's `url` as well."
    )


async def knock(settings: StoreSettings, station: str, clock: Clock) -> None:
    """Return when the store knows who asks.

    Raises CredentialRefused and other StoreRefused when it does not, StoreError kinds when it cannot be asked,
    ConfigError.
    """
    standing = Standing(settings.name, settings.url, settings.require, clock)
    match settings.url.partition(":")[0]:
        case "tus+http" | "tus+https":
            remote, _ = tus_parts(settings, station, standing)
            await _tus(remote, settings)
        case "s3+http" | "s3+https":
            await _s3(settings, station, standing)
        case scheme:
            raise ConfigError(f"store {settings.name}: a store of the kind {scheme} is not asked who we are")


async def _tus(remote: Remote, settings: StoreSettings) -> None:
    doing = f"store {remote.name}: asking whether it knows this station"
    control = Control(remote, settings.connect_s, CALL_S)
    try:
        url = f"{remote.endpoint.base}{secrets.token_hex(16)}"
        answer = await control.ask_again("HEAD", url, doing, _TUS)
    finally:
        await control.close()
    if answer.status not in _NOTHING_THERE:
        raise _unexpected(answer, doing, refusal(answer, doing, remote.clock()))
    if "tus-resumable" not in answer.headers:
        raise NotTheStore(f"{doing}: something answered that is no tus server ({answer.status})")


async def _s3(settings: StoreSettings, station: str, standing: Standing) -> None:
    from agent.stores.s3_answer import error_code, s3_refusal  # noqa: PLC0415 - it loads the library that signs
    from agent.stores.s3_uploads import S3Uploads  # noqa: PLC0415

    remote, address, signature = s3_parts(settings, station, standing)
    doing = f"store {remote.name}: asking whether it knows this station"
    control = Control(remote, settings.connect_s, CALL_S, takes_bodies=True)
    try:
        url = address.key_url(Digest(secrets.token_hex(32)))
        answer = await control.ask_again("GET", url, doing, signature.headers("GET", url))
        code = error_code(answer.body)
        if code == "AccessDenied":
            text = f"{doing}: it does not let this access key look whether an object is there ({answer.status})"
            raise RightsMissing(text)
        if code != "NoSuchKey":
            raise _unexpected(answer, doing, s3_refusal(answer, doing, remote.clock()))
        await _begin_upload(S3Uploads(remote, control, address, signature, settings.retention), remote)
    finally:
        await control.close()


async def _begin_upload(uploads: "S3Uploads", remote: Remote) -> None:
    """Begin an upload and give it up; the key was accepted a moment ago, so what is refused now is a right."""
    nothing = scratch(remote.station).shipment
    what = "begin an upload"
    try:
        upload = await uploads.create(nothing)
        what = "give up an upload that it began"
        await uploads.abort(nothing, upload)
    except ProxyCredentialRefused:
        raise
    except CredentialRefused as error:
        text = f"store {remote.name}: it knows this access key, but does not let it {what} in this bucket"
        raise RightsMissing(text) from error


def _unexpected(answer: Answer, doing: str, refused: StoreError) -> StoreError:
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES and not answer.is_web_page:
        text = f"{doing}: it showed what cannot exist ({answer.status})"
        return StoreRefused(text, hint="Check the store's url.")
    return refused
