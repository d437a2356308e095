"""What the errors of an S3 store and its client mean."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError

from cmip6zarr.core.errors import DatasetError

ERRORS = (BaseError, OSError, ValueError)
# Answers to what has been damaged on its way: the same request is right the next time.
DAMAGED = ("BadDigest", "IncompleteBody", "InvalidDigest", "RequestTimeout", "XAmzContentSHA256Mismatch")
KEYS = ("AccessDenied", "Expired", "Forbidden", "InvalidAccessKeyId", "InvalidToken", "Signature", "Unauthorized")


def reason(error: Exception) -> str:
    """Return in a line why a request failed, as the store has said it, or the network.

    >>> reason(OSError("Error performing GET in 1ms - Server returned non-2xx status code: 403 Forbidden: <Error>"
    ...     "<Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"))
    'AccessDenied: Access Denied.'
    """
    said, _, beside = str(error).partition("\n\nDebug source:")
    code, told = (re.search(f"<{word}>([^<]*)</{word}>", said) for word in ("Code", "Message"))
    if code:
        words = f"{code[1]}: {told[1] if told else ''}"
    elif status := re.search(r"status code: (\d+[ \w]*)", said):
        words = f"the answer is {status[1]}"
    else:
        causes = re.findall(r'(?:message|error): "([^"]+)"', beside)
        causes += [
            f"its certificate is not valid: {why}" for why in re.findall(r"InvalidCertificate\(\s*(\w+)", beside)
        ]
        words = ": ".join([said.partition(" - ")[2] or said, *causes[-1:]])
    return " ".join(words.split())[:300]


def failure(what: str, error: Exception) -> DatasetError:
    """Return what a failed request means for the dataset: DatasetError (`store`)."""
    why = reason(error)
    if "NoSuchBucket" in why:
        remedy = "Make the bucket, or correct store_root."
    elif any(word in why for word in KEYS):
        remedy = "See to the credentials in the environment or ~/.aws, or s3.profile, then run again: it goes on."
    else:
        remedy = "See to s3.endpoint_url, the network and the store, then run again: it goes on."
    return DatasetError("store", f"{what}: {why}.", remedy)


def was_cut(error: Exception) -> bool:
    """Tell whether a listing failed because its answer did not arrive whole."""
    return "list response" in reason(error)


def was_damaged(error: Exception) -> bool:
    """Tell whether a request failed because it did not arrive as it was sent."""
    return reason(error).startswith(DAMAGED)


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn what the client raises into a DatasetError (`store`) that names an object or a prefix.

    An object that is not there stays a FileNotFoundError; a bucket that is not there does not.
    """
    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise failure(what, error) from None
        raise FileNotFoundError(f"{what}: there is no such object") from None
    except ERRORS as error:
        # Not `from error`: what the client tells beside its message is long, and nobody has looked at all of it.
        raise failure(what, error) from None
