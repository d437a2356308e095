"""The checks of `s3_probe.py`: each writes below a prefix of its own, and says what became of it."""

import base64
import hashlib
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

SMALL, LARGE, PART = 100_000, 8 * 2**20, 5 * 2**20  # bytes; no part but the last may be smaller than PART
ASKED = 20  # times, for what is measured
RACES, RACERS = 5, 8
PATIENCE_SECONDS = 10  # for an object to appear in a listing


@dataclass
class Store:
    """A prefix of a bucket, `base`, below which all keys are.

    `client` is botocore's, and sends checksums only where it must; `usual` is one with nothing set.
    """

    client: object
    usual: object
    bucket: str
    base: str

    def put(self, key: str, data: bytes, **headers) -> str:
        """Write an object with one PUT and return its ETag."""
        told = self.client.put_object(Bucket=self.bucket, Key=self.base + key, Body=data, **headers)
        return told["ETag"].strip('"')

    def get(self, key: str, **headers) -> bytes:
        """Return an object."""
        return self.client.get_object(Bucket=self.bucket, Key=self.base + key, **headers)["Body"].read()

    def listing(self, key: str = "") -> dict[str, dict]:
        """Return what the listing says of the objects whose keys begin so; at most 1000."""
        told = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.base + key)
        return {found["Key"].removeprefix(self.base): found for found in told.get("Contents", [])}

    def begin_upload(self, key: str) -> dict:
        """Begin an upload in parts, and return what names it in requests."""
        name = {"Bucket": self.bucket, "Key": self.base + key}
        return name | {"UploadId": self.client.create_multipart_upload(**name)["UploadId"]}

    def uploads(self) -> list[dict]:
        """Return what names the unfinished uploads."""
        told = self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=self.base)
        return [{"Bucket": self.bucket, "Key": up["Key"], "UploadId": up["UploadId"]} for up in told.get("Uploads", [])]


def stored_right(store: Store) -> bool:
    """An object reads back as it was written."""
    data = os.urandom(SMALL)
    store.put("small", data)
    return store.get("small") == data


def etag_is_md5(store: Store) -> bool:
    """The ETag of an object that came in one PUT is its MD5."""
    data = os.urandom(SMALL)
    return store.put("small", data) == _md5(data).hexdigest()


def listing_gives_bytes(store: Store) -> bool:
    """A listing tells the lengths of objects."""
    return store.listing("small")["small"]["Size"] == SMALL


def listing_gives_etag(store: Store) -> bool:
    """A listing tells the same ETag as the PUT."""
    etag = store.put("small", os.urandom(SMALL))
    return store.listing("small")["small"]["ETag"].strip('"') == etag


def listed_within_seconds(store: Store) -> float | bool:
    """The longest that an object took to be listed, 0 if all were at once; false if one was not listed in time."""
    longest = 0.0
    for number in range(ASKED):
        store.put(f"listed/{number}", b"x")
        written = time.monotonic()
        while len(store.listing("listed/")) <= number:
            longest = max(longest, round(time.monotonic() - written, 3))
            if longest > PATIENCE_SECONDS:
                return False
    return longest


def conditional_create(store: Store) -> bool:
    """With If-None-Match: * an object that is there is not replaced."""
    store.put("create", b"first", IfNoneMatch="*")
    return refuses(lambda: store.put("create", b"second", IfNoneMatch="*")) and store.get("create") == b"first"


def one_wins_race(store: Store) -> bool:
    """Of several writers at once that ask for If-None-Match: *, exactly one succeeds."""

    def wins(key):
        return not refuses(lambda: store.put(key, b"mine", IfNoneMatch="*"))

    with ThreadPoolExecutor(RACERS) as pool:
        return all(sum(pool.map(wins, [f"race/{race}"] * RACERS)) == 1 for race in range(RACES))


def conditional_update(store: Store) -> bool:
    """With If-Match an object is replaced if it is still the one with that ETag, and not otherwise."""
    etag = store.put("update", b"first")
    store.put("update", b"second", IfMatch=f'"{etag}"')
    return refuses(lambda: store.put("update", b"third", IfMatch=f'"{etag}"')) and store.get("update") == b"second"


def content_md5_checked(store: Store) -> bool:
    """An upload with a wrong Content-MD5 is refused."""
    return refuses(lambda: store.put("wrong", b"data", ContentMD5=base64.b64encode(bytes(16)).decode()))


def crc32_checked(store: Store) -> bool:
    """An upload with a wrong x-amz-checksum-crc32 is refused."""
    return refuses(lambda: store.put("wrong", b"data", ChecksumCRC32=base64.b64encode(bytes(4)).decode()))


def sha256_checked(store: Store) -> bool:
    """An upload with a wrong x-amz-checksum-sha256 is refused."""
    return refuses(lambda: store.put("wrong", b"data", ChecksumSHA256=base64.b64encode(bytes(32)).decode()))


def default_upload_stored_right(store: Store) -> bool:
    """What boto3 and s3fs send unless told otherwise is stored as meant: a checksum; over https behind the data."""
    data = os.urandom(SMALL)
    store.usual.put_object(Bucket=store.bucket, Key=store.base + "usual", Body=data)
    return store.get("usual") == data


def suffix_range(store: Store) -> bool:
    """The end of an object can be read without knowing its length, as readers of shards do."""
    data = os.urandom(SMALL)
    store.put("small", data)
    return store.get("small", Range="bytes=-100") == data[-100:]


def multipart_stored_right(store: Store) -> bool:
    """An object that comes in parts reads back as it was written."""
    parts, upload = (os.urandom(PART), b"the end"), store.begin_upload("parts")
    tags = [store.client.upload_part(**upload, PartNumber=i, Body=part)["ETag"] for i, part in enumerate(parts, 1)]
    told = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
    store.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": told})
    return store.get("parts") == b"".join(parts)


def unfinished_uploads_listed(store: Store) -> bool:
    """An upload in parts that was never finished can be found, to be removed."""
    upload = store.begin_upload("unfinished")
    try:
        return upload in store.uploads()
    finally:
        store.client.abort_multipart_upload(**upload)


def head_ms(store: Store) -> float:
    """Median milliseconds of a HEAD, one after another."""
    spent = []
    for _ in range(ASKED):
        start = time.perf_counter()
        store.client.head_object(Bucket=store.bucket, Key=store.base + "small")
        spent.append((time.perf_counter() - start) * 1000)
    return round(statistics.median(spent), 1)


def put_mib_per_second(store: Store) -> float:
    """Speed of a single PUT of 8 MiB."""
    data = os.urandom(LARGE)
    start = time.perf_counter()
    store.put("large", data)
    return round(LARGE / 2**20 / (time.perf_counter() - start), 1)


def get_mib_per_second(store: Store) -> float:
    """Speed of a single GET of these."""
    start = time.perf_counter()
    data = store.get("large")
    return round(len(data) / 2**20 / (time.perf_counter() - start), 1)


def bulk_delete(store: Store) -> bool:
    """Many objects are deleted by one request; this is the last of the checks."""

    def add_md5(params, **_):  # older stores ask for it, and obstore sends it beside the checksum that is usual now
        params["headers"]["Content-MD5"] = base64.b64encode(_md5(params["body"]).digest()).decode()

    store.client.meta.events.register("before-call.s3.DeleteObjects", add_md5)
    keys = [{"Key": store.base + key} for key in store.listing()]
    store.client.delete_objects(Bucket=store.bucket, Delete={"Objects": keys, "Quiet": True})
    return not store.listing()


CHECKS = (
    stored_right,
    etag_is_md5,
    listing_gives_bytes,
    listing_gives_etag,
    listed_within_seconds,
    conditional_create,
    one_wins_race,
    conditional_update,
    content_md5_checked,
    crc32_checked,
    sha256_checked,
    default_upload_stored_right,
    suffix_range,
    multipart_stored_right,
    unfinished_uploads_listed,
    head_ms,
    put_mib_per_second,
    get_mib_per_second,
    bulk_delete,
)
"""In this order; the name of each is its key in the JSON."""


def _md5(data: bytes):
    return hashlib.md5(data, usedforsecurity=False)


def refuses(request) -> bool:
    """Tell whether the store says of a request that it is wrong; that it cannot do it (501) is raised."""
    try:
        request()
    except ClientError as error:
        if 400 <= status(error) < 500:
            return True
        raise
    return False


def status(error: ClientError) -> int:
    """Return the HTTP status of an error."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def outcomes(store: Store) -> dict:
    """Return {name of a check: what it says, or in words what kept it from saying anything}; leave nothing behind."""
    try:
        return {check.__name__: outcome(check, store) for check in CHECKS}
    finally:
        clean(store)


def outcome(check, store: Store) -> bool | float | str:
    """Return what a check says, or the error that the store has answered."""
    try:
        return check(store)
    except ClientError as error:
        return f"{status(error)} {error.response['Error']['Code']}"
    except (BotoCoreError, KeyError) as error:  # a KeyError: what should be in an answer is not
        return type(error).__name__


def clean(store: Store) -> None:
    """Remove whatever is still there, one by one."""
    for key in store.listing():
        store.client.delete_object(Bucket=store.bucket, Key=store.base + key)
    with suppress(ClientError):  # not every store can list them
        for upload in store.uploads():
            store.client.abort_multipart_upload(**upload)
