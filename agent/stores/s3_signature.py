"""Requests signed as S3 wants them (AWS Signature Version 4), with botocore as the signer and nothing else of it.

This is the only module that imports botocore, and itself imported only where an S3 store is configured: the library
takes a third of a second to load. The signing time is that of the system's clock.
"""

from collections.abc import Mapping
from hashlib import sha256

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from agent.stores.s3_credential import S3Credential

NOTHING = sha256(b"").hexdigest()
"""The digest of a request without a body."""


class _Signer(S3SigV4Auth):  # type: ignore[misc]  # the library has no types
    """Signs a body by its digest, so that the body itself need not be there."""

    def __init__(self, credential: S3Credential, region: str, body_sha256: str) -> None:
        super().__init__(Credentials(credential.key_id, credential.secret, credential.token), "s3", region)
        self._body_sha256 = body_sha256

    def payload(self, request: AWSRequest) -> str:  # noqa: ARG002 - the library's signature
        """The digest that is signed."""
        return self._body_sha256


class S3Signature:
    """Signs requests with the credential as it is at that moment."""

    def __init__(self, credential: S3Credential, region: str) -> None:
        """`region` is part of the signature; stores outside Amazon mostly take any."""
        self.credential = credential
        self._region = region

    def headers(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body_sha256: str = NOTHING
    ) -> dict[str, str]:
        """`headers` and those of the signature, which covers method, address, headers and the body's digest (hex).

        What is added later (Content-Length) is not signed.
        """
        request = AWSRequest(method, url, headers=dict(headers or {}))
        _Signer(self.credential, self._region, body_sha256).add_auth(request)
        return dict(request.headers.items())
