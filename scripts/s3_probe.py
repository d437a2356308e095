"""Ask an S3 store what it honours of that which stores of Zarr rely on, before a campaign relies on it.

Writes less than 20 MB below the prefix, under a name made at random, and removes it again. Prints JSON: true where the
store does what the key says, false where it does not, its own error where it refuses. Says on stderr what the store is
good for. Credentials come from the environment or ~/.aws, never from the command line.
"""

import argparse
import json
import secrets
import signal
import sys
from datetime import UTC, datetime

import botocore
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import s3_checks
from cmip6zarr.job import cli
from cmip6zarr.store.s3 import URL

SOON = {"connect_timeout": 5, "read_timeout": 8, "retries": {"mode": "standard", "total_max_attempts": 2}}
"""Settings of the first requests: within half a minute it is known whether the store can be asked at all."""
PATIENT = {"connect_timeout": 10, "read_timeout": 120, "retries": {"mode": "standard", "total_max_attempts": 4}}

REMEDIES = {
    "NoSuchBucket": "Make the bucket, or correct its name.",
    "AccessDenied": "These keys may not do that here: see to them, or to the policy of the bucket.",
    "ExpiredToken": "Get new credentials.",
    "InvalidAccessKeyId": "The store does not know this key: see to the environment, ~/.aws or --profile.",
    "SignatureDoesNotMatch": "The secret is not that of the key: see to the environment, ~/.aws or --profile.",
}
ELSEWHERE = "See to --endpoint-url or AWS_ENDPOINT_URL, and to the network."
CREDENTIALS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or see to ~/.aws and --profile."

USES = {
    "Zarr stores": (("stored_right", "listing_gives_bytes", "listed_within_seconds"), "do not convert to it"),
    "shards": (("suffix_range",), "leave shard_mib at 0"),
    "proving uploads by their ETag": (("etag_is_md5", "listing_gives_etag"), "they are proven by reading them again"),
    "keeping two campaigns apart": (("conditional_create", "one_wins_race"), "let one campaign alone write a store"),
    "boto3 and s3fs as they are": (
        ("default_upload_stored_right",),
        "set AWS_REQUEST_CHECKSUM_CALCULATION=when_required for them",
    ),
    "deleting many objects at once": (("bulk_delete",), "set AWS_DISABLE_BULK_DELETE=true for the workflow"),
    "finding what killed uploads left": (("unfinished_uploads_listed",), "have the store expire them"),
}
"""What a store may be good for: the checks that must hold, and what to do, or to know, where they do not."""


class Unusable(Exception):
    """The store cannot be asked: why, and what to do."""


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """Return the parts of s3://BUCKET/PREFIX; argparse refuses what is none."""
    match = URL.fullmatch(url)
    if not match:
        raise argparse.ArgumentTypeError(f"found {url!r}, expected s3://BUCKET/PREFIX of plain words")
    return match[1], match[2].strip("/")


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit code: 0 good for stores, 1 not so or not to be asked, 2 wrong arguments.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", type=bucket_and_prefix, help="s3://BUCKET/PREFIX, where these keys may write")
    parser.add_argument("--endpoint-url", help="address of the store; else as environment or ~/.aws say")
    parser.add_argument("--profile", help="name of a profile in ~/.aws")
    parser.add_argument("--addressing-style", choices=("path", "virtual"), default="path", help="where the bucket goes")
    return parser.parse_args(argv)


def connect(args: argparse.Namespace, **settings):
    """Return a botocore client; raises Unusable where the settings or credentials are not there."""
    try:
        session = botocore.session.Session(profile=args.profile)
        if session.get_credentials() is None:
            raise Unusable(f"found no credentials. {CREDENTIALS}")
        region = session.get_config_variable("region") or "us-east-1"
        config = Config(s3={"addressing_style": args.addressing_style}, **settings)
        return session.create_client("s3", region, endpoint_url=args.endpoint_url, config=config)
    except (BotoCoreError, ValueError) as error:  # ValueError: an address that is none
        raise Unusable(f"{error}. {CREDENTIALS if isinstance(error, BotoCoreError) else ELSEWHERE}") from None


def reach(store: s3_checks.Store) -> None:
    """Raise Unusable if the store does not answer, or these keys may not list, write, read and delete."""
    where = f"s3://{store.bucket} at {store.client.meta.endpoint_url}"
    try:
        store.listing()
        store.put("reached", b"")
        store.get("reached")
        store.client.delete_object(Bucket=store.bucket, Key=store.base + "reached")
    except ClientError as error:
        code = error.response["Error"]["Code"]
        # Without a code in it the answer is not of S3's kind; botocore then has the status for it.
        told = "as no S3 store does" if code.isdigit() else f"with {s3_checks.status(error)} {code}"
        said = f"{error.operation_name} was answered {told}"
        raise Unusable(f"{where}: {said}. {REMEDIES.get(code, ELSEWHERE)}") from None
    except BotoCoreError as error:
        raise Unusable(f"{where}: {error}. {ELSEWHERE}") from None


def holds(found: bool | float | str) -> bool:
    """Tell whether a check says that the store does what it is for."""
    return found is not False and not isinstance(found, str)


def verdict(found: dict) -> tuple[bool, str]:
    """Return whether a store is good for stores of Zarr, and in words what else it is and is not good for."""
    failing = {use: [name for name in names if not holds(found[name])] for use, (names, _) in USES.items()}
    lines = ["good for: " + "; ".join(use for use in USES if not failing[use])]
    for use, names in failing.items():
        if names:
            said = ", ".join(f"{name}: {json.dumps(found[name])}" for name in names)
            lines.append(f"not for:  {use} ({said}): {USES[use][1]}")
    return not failing["Zarr stores"], "\n".join(lines)


def main(argv=None) -> int:
    args = parse(argv)
    bucket, prefix = args.url
    base = f"{prefix}/_probe-{secrets.token_hex(6)}/".lstrip("/")
    needed = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
    try:
        reach(s3_checks.Store(connect(args, **SOON, **needed), None, bucket, base))
        client, usual = connect(args, **PATIENT, **needed), connect(args, **PATIENT)
        found = s3_checks.outcomes(s3_checks.Store(client, usual, bucket, base))
    except Unusable as error:
        print(f"s3_probe: {error}", file=sys.stderr)
        return cli.FAILED
    except (BotoCoreError, ClientError) as error:
        print(f"s3_probe: {error}. Delete what is left below s3://{bucket}/{base}", file=sys.stderr)
        return cli.FAILED
    about = {
        "url": f"s3://{bucket}/{prefix}",
        "endpoint_url": client.meta.endpoint_url,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "client": f"botocore {botocore.__version__}",
    }
    print(json.dumps(about | found, indent=2))
    good, words = verdict(found)
    print(words, file=sys.stderr)
    return cli.OK if good else cli.FAILED


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # it cleans up
    sys.exit(main())
