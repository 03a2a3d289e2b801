"""Short requests to a store: everything but the bodies of clips.

Rules: each call has a total deadline, however slowly the answer drips; at most 64 KiB of body are taken, never
decoded; redirects, proxies from the environment and cookies do not exist. Only questions that change nothing are
asked again, and only for a broken line: longer pauses are the uploader's.
"""

import asyncio
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_random

from agent.core.errors import StoreError, StoreLied, StoreUnreachable
from agent.stores.answer import Answer, AnswerTooLarge
from agent.stores.failure import HTTP_FAILURES, store_failure
from agent.stores.issuer import find_issuer, issuer_refused
from agent.stores.remote import Remote
from agent.stores.tls import is_about_issuer, tls_cause

MAX_BODY_BYTES = 64 << 10
QUICK_TRIES = 3
QUICK_TRIES_S = 3.0
"""After this long no further quick try is begun."""


def no_cookies() -> CookieJar:
    """A jar that takes none: what a store sets would otherwise pile up in memory."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


BASE_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "dock-agent"}
"""Of every request; answers are wanted as they are, so that none can unfold into gigabytes."""


_LIMITS = httpx.Limits(max_connections=8, max_keepalive_connections=2, keepalive_expiry=3.0)


class Control:
    """The control connection to one store. Raises StoreError kinds only; answers are not judged here."""

    def __init__(self, remote: Remote, connect_s: float, total_s: float, *, takes_bodies: bool = False) -> None:
        """`connect_s` bounds connecting, `total_s` a whole call: a store may have to hash before it answers.

        `takes_bodies`: small bodies of every answer are handed out, not only those that were fetched.
        """
        self._endpoint = remote.endpoint
        self._remote = remote
        self._takes_bodies = takes_bodies
        self._connect_s = connect_s
        self._total_s = total_s
        self._known = self._facts()
        self._client = self._connected()
        self._retired: list[httpx.AsyncClient] = []  # made with an earlier certificate, CA or credential of a proxy
        self._asking = 0

    def _facts(self) -> tuple[ssl.SSLContext, tuple[str, str] | None]:
        return self._remote.context, self._remote.route.credential

    def _connected(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers=BASE_HEADERS,
            transport=self._remote.route.async_transport(self._known[0], _LIMITS),
            timeout=httpx.Timeout(self._total_s, connect=self._connect_s, pool=self._total_s),
            cookies=no_cookies(),
            trust_env=False,
            follow_redirects=False,
        )

    def _current(self) -> httpx.AsyncClient:
        """The client for a new request; another one once a certificate, a CA or a proxy's credential was renewed."""
        if self._facts() != self._known:
            self._retired.append(self._client)
            self._known = self._facts()
            self._client = self._connected()
        return self._client

    async def ask(
        self,
        method: str,
        url: str,
        doing: str,
        headers: Mapping[str, str] | None = None,
        *,
        elsewhere: bool = False,
        content: bytes = b"",
    ) -> Answer:
        """Send one request, mostly without a body, and take its answer.

        `elsewhere`: StoreLied when an answer of a store that should be another machine comes from this one.
        """
        if not self._endpoint.owns(url):
            raise StoreLied(f"{doing}: an address outside the configured store was about to be used")
        client = self._current()
        self._asking += 1
        try:
            async with (
                asyncio.timeout(self._total_s),
                client.stream(method, url, headers=self._remote.headers(headers), content=content or None) as response,
            ):
                proxy = self._remote.route.proxy
                if proxy is not None and response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
                    raise proxy.credential_refused(doing)
                if elsewhere:
                    self._remote.refuse_here(response)
                self._remote.sighting.note(response)
                return await _taken(response, doing, takes_all=self._takes_bodies)
        except TimeoutError as error:
            raise StoreUnreachable(f"{doing}: no complete answer within {self._total_s:.0f} s") from error
        except HTTP_FAILURES as error:
            raise await self._failure(error, doing) from error
        finally:
            self._asking -= 1
            if not self._asking and self._retired:
                await self._close_retired()

    async def _close_retired(self) -> None:
        retired, self._retired = self._retired, []
        async with asyncio.timeout(self._total_s):
            for client in retired:
                await client.aclose()

    async def _failure(self, error: Exception, doing: str) -> StoreError:
        """What a broken request means; who signed a certificate that nobody knows is looked up for the message."""
        tls = tls_cause(error)
        if tls is None or not is_about_issuer(tls):
            return store_failure(error, doing, self._remote)
        issuer = await find_issuer(self._remote, self._connect_s)
        return issuer_refused(tls, doing, issuer)

    async def ask_again(
        self, method: str, url: str, doing: str, headers: Mapping[str, str] | None = None, *, elsewhere: bool = False
    ) -> Answer:
        """Ask a question that changes nothing, up to three times while the line breaks quickly."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(StoreUnreachable),
            stop=stop_after_attempt(QUICK_TRIES) | stop_after_delay(QUICK_TRIES_S),
            wait=wait_random(0.05, 0.6),
            reraise=True,
        ):
            with attempt:
                return await self.ask(method, url, doing, headers, elsewhere=elsewhere)
        raise StoreUnreachable(f"{doing}: no answer")  # not reached: the last failure is raised again

    async def close(self) -> None:
        """End all connections; idempotent."""
        self._retired.append(self._client)
        await self._close_retired()


async def _taken(response: httpx.Response, doing: str, *, takes_all: bool) -> Answer:
    fetched = response.request.method == "GET" and response.is_success
    plain = response.headers.get("content-encoding", "identity").lower() == "identity"
    if fetched and not plain:
        raise StoreError(f"{doing}: the store sent a compressed answer, which was not asked for")
    body = bytearray()
    wanted = fetched or (takes_all and plain)
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            if fetched:
                raise AnswerTooLarge(f"{doing}: the store's answer is larger than {MAX_BODY_BYTES} bytes")
            wanted = False
            break
    return Answer(response.status_code, dict(response.headers), bytes(body) if wanted else b"")
