"""Short requests to a store: everything but the bodies of clips.

Rules: each call has a total deadline, however slowly the answer drips; at most 64 KiB of body are taken, never
decoded; redirects, proxies from the environment and cookies do not exist. Only questions that change nothing are
asked again, and only for a broken line: longer pauses are the uploader's.
"""

import asyncio
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_random

from agent.core.errors import StoreError, StoreLied, StoreUnreachable
from agent.stores.answer import Answer
from agent.stores.failure import HTTP_FAILURES, store_failure
from agent.stores.remote import Remote

MAX_BODY_BYTES = 64 << 10
QUICK_TRIES = 3
QUICK_TRIES_S = 3.0
"""After this long no further quick try is begun."""


def no_cookies() -> CookieJar:
    """A jar that takes none: what a store sets would otherwise pile up in memory."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


BASE_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "dock-agent"}
"""Of every request; answers are wanted as they are, so that none can unfold into gigabytes."""


class Control:
    """The control connection to one store. Raises StoreError kinds only; answers are not judged here."""

    def __init__(self, remote: Remote, connect_s: float, total_s: float) -> None:
        """`connect_s` bounds connecting, `total_s` a whole call: a store may have to hash before it answers."""
        self._endpoint = remote.endpoint
        self._remote = remote
        self._total_s = total_s
        self._client = httpx.AsyncClient(
            headers=BASE_HEADERS,
            verify=remote.tls,
            timeout=httpx.Timeout(self._total_s, connect=connect_s, pool=self._total_s),
            limits=httpx.Limits(max_connections=8, max_keepalive_connections=2, keepalive_expiry=3.0),
            cookies=no_cookies(),
            trust_env=False,
            follow_redirects=False,
        )

    async def ask(
        self, method: str, url: str, doing: str, headers: Mapping[str, str] | None = None, *, elsewhere: bool = False
    ) -> Answer:
        """Send one request without a body and take its answer.

        `elsewhere`: StoreLied when an answer of a store that should be another machine comes from this one.
        """
        if not self._endpoint.owns(url):
            raise StoreLied(f"{doing}: an address outside the configured store was about to be used")
        try:
            async with (
                asyncio.timeout(self._total_s),
                self._client.stream(method, url, headers=self._remote.headers(headers)) as response,
            ):
                if elsewhere:
                    self._remote.refuse_here(response)
                return await _taken(response, doing)
        except TimeoutError as error:
            raise StoreUnreachable(f"{doing}: no complete answer within {self._total_s:.0f} s") from error
        except HTTP_FAILURES as error:
            raise store_failure(error, doing, self._remote) from error

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
        async with asyncio.timeout(self._total_s):
            await self._client.aclose()


async def _taken(response: httpx.Response, doing: str) -> Answer:
    wanted = response.request.method == "GET" and response.is_success
    if wanted and response.headers.get("content-encoding", "identity").lower() != "identity":
        raise StoreError(f"{doing}: the store sent a compressed answer, which was not asked for")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            if wanted:
                raise StoreError(f"{doing}: the store's answer is larger than {MAX_BODY_BYTES} bytes")
            break
    return Answer(response.status_code, dict(response.headers), bytes(body) if wanted else b"")
