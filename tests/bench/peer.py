"""`python peer.py NAME URL STATE FILE...`: uploads files with another library; runs in .venv-bench.

NAME is boto3, obstore or tuspy. Each is used as its documentation does, with its own defaults, except that retries go
on for longer. Nothing of this project is imported: what starts here is the library alone. Without files it only starts.
"""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

AT_A_TIME = 4
"""Files; as many as rclone sends unless told otherwise."""
TRIES = 50
TUS_BYTES = 8 << 20
"""tuspy reads each piece into memory whole; this size needed the least processor time."""


def boto3_(url: str, files: list[Path]) -> None:
    """`upload_file`, which sends parts of 8 MiB, ten at a time."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    endpoint, bucket, prefix = _parts(url)
    settings = Config(s3={"addressing_style": "path"}, retries={"max_attempts": TRIES}, max_pool_connections=20)
    client = boto3.client("s3", endpoint_url=endpoint, config=settings)
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        list(threads.map(lambda file: client.upload_file(str(file), bucket, f"{prefix}/{file.name}"), files))


def obstore_(url: str, files: list[Path]) -> None:
    """`put_async` of a path, in parts of 16 MiB, four at a time."""
    import obstore  # noqa: PLC0415
    from obstore.store import S3Store  # noqa: PLC0415

    endpoint, bucket, prefix = _parts(url)
    store = S3Store(
        bucket,
        endpoint=endpoint,
        region=os.environ["AWS_REGION"],
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        virtual_hosted_style_request=False,
        client_options={"allow_http": True, "timeout": "120s"},
        retry_config={"max_retries": TRIES},
    )

    async def put_all() -> None:
        waiting = iter(files)

        async def put() -> None:
            for file in waiting:
                key = f"{prefix}/{file.name}"
                await obstore.put_async(store, key, file, chunk_size=16 << 20, max_concurrency=4)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_A_TIME, len(files))):
                group.create_task(put())

    asyncio.run(put_all())


def tuspy(url: str, files: list[Path], state: Path) -> None:
    """`Uploader.upload` with a file that remembers where uploads are, so that a second run goes on."""
    from tusclient.client import TusClient  # noqa: PLC0415
    from tusclient.storage.filestorage import FileStorage  # noqa: PLC0415

    def upload(file: Path) -> None:
        kept = FileStorage(str(state / f"{file.name}.json"))  # type: ignore[no-untyped-call]
        told = {"filename": file.name, "filetype": "video/mp4"}  # without any it is refused by the official server
        TusClient(url).uploader(
            str(file),
            chunk_size=TUS_BYTES,
            metadata=told,
            store_url=True,
            url_storage=kept,
            retries=TRIES,
            retry_delay=1,
        ).upload()

    with ThreadPoolExecutor(AT_A_TIME) as threads:
        list(threads.map(upload, files))


def _parts(url: str) -> tuple[str, str, str]:
    """Endpoint, bucket and prefix."""
    parts = urlsplit(url)
    bucket, _, prefix = parts.path.strip("/").partition("/")
    return f"{parts.scheme}://{parts.netloc}", bucket, prefix


def main() -> None:
    """Upload."""
    name, url, state, *files = sys.argv[1:]
    paths = list(map(Path, files))
    match name:
        case "boto3":
            boto3_(url, paths)
        case "obstore":
            obstore_(url, paths)
        case "tuspy":
            tuspy(url, paths, Path(state))
        case _:
            raise SystemExit(f"peer: {name} is not known")


if __name__ == "__main__":
    main()
