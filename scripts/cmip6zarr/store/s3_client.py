"""How an S3 store is asked: settings, credentials, the client."""

import argparse
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from cmip6zarr.core.errors import DatasetError

if TYPE_CHECKING:
    from botocore.session import Session
    from obstore.store import S3Credential, S3Store


@dataclass(frozen=True)
class Settings:
    """The configuration's `s3`; what is empty comes from the environment or ~/.aws, as in other S3 clients.

    `concurrency` requests at once; a request may take `timeout_seconds`, and is made again for `retry_seconds`.
    """

    endpoint_url: str = ""
    addressing_style: str = "path"
    region: str = ""
    profile: str = ""
    anonymous: bool = False
    concurrency: int = 8
    timeout_seconds: int = 900
    retry_seconds: int = 240


def settings(text: str) -> Settings:
    """Return settings given as JSON on the command line; argparse refuses what is none.

    >>> settings('{"concurrency": 4}').concurrency
    4
    """
    try:
        given = json.loads(text)
        if not isinstance(given, dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected JSON such as {{}}: {error}") from error
    known = [field.name for field in fields(Settings)]
    if unknown := sorted(given.keys() - set(known)):
        raise argparse.ArgumentTypeError(f"found {unknown}, expected some of {known}; keys are no settings")
    return Settings(**given)


def option(config: Mapping[str, Any]) -> str:
    """Return what `settings` reads: of the configuration's `s3` what is not the default.

    >>> option({"concurrency": 4, "region": ""})
    '{"concurrency": 4}'
    """
    defaults = asdict(Settings())
    return json.dumps({key: value for key, value in config.items() if value != defaults[key]})


def endpoint_of(given: Settings) -> str | None:
    """Return the address of the store, None for Amazon's own: as configured, or as environment or ~/.aws say."""
    from botocore.configprovider import ConfiguredEndpointProvider

    if given.endpoint_url:
        return given.endpoint_url
    session = _session(given.profile)
    provider = ConfiguredEndpointProvider(session.full_config, session.get_scoped_config(), "s3", os.environ)
    endpoint: str | None = provider.provide()
    return endpoint


@cache
def client(given: Settings, bucket: str, prefix: str, quick: bool = False) -> "S3Store":
    """Return the client of a prefix of a bucket; a `quick` one gives up within seconds.

    Raises DatasetError (`store`) where there are no credentials.
    """
    from botocore.exceptions import BotoCoreError
    from obstore.store import S3Store

    try:
        endpoint = endpoint_of(given)
        region = given.region or _session(given.profile).get_config_variable("region") or "us-east-1"
        credentials: dict[str, Any] = {} if given.anonymous else {"credential_provider": _credentials(given.profile)}
    except BotoCoreError as error:
        message = f"s3://{bucket}: the AWS configuration cannot be used: {error}."
        raise DatasetError("store", message, "See to s3.profile, the environment, and the files in ~/.aws.") from error
    virtual = given.addressing_style == "virtual"
    if endpoint:
        endpoint = endpoint.replace("://", f"://{bucket}.", 1) if virtual else endpoint
        # obstore lets the environment's AWS_ENDPOINT_URL_S3 have its way otherwise.
        credentials |= {"endpoint": endpoint, "aws_endpoint_url_s3": endpoint}
    seconds = timedelta(seconds=8 if quick else given.retry_seconds)
    return S3Store(
        bucket,
        prefix=prefix or None,
        region=region,
        virtual_hosted_style_request=virtual,
        skip_signature=given.anonymous,
        client_options={
            "timeout": f"{10 if quick else given.timeout_seconds}s",
            "connect_timeout": "5s" if quick else "10s",
            "read_timeout": f"{10 if quick else min(120, given.timeout_seconds)}s",
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
        },
        # The time is the bound, not the number; waits have jitter.
        retry_config={
            "max_retries": 2 if quick else 1000,
            "retry_timeout": seconds,
            "backoff": {
                "init_backoff": timedelta(seconds=0.2 if quick else 1),
                "max_backoff": timedelta(seconds=1 if quick else 15),
                "base": 2,
            },
        },
        **credentials,
    )


@cache
def _session(profile: str) -> "Session":
    import botocore.session

    return botocore.session.Session(profile=profile or None)


@cache
def _credentials(profile: str) -> "Callable[[], S3Credential]":
    """Return what obstore asks for credentials, found where every AWS client looks; it asks again before they end."""
    found = _session(profile).get_credentials()
    if found is None:
        message = "S3: found no credentials in the environment, nor in ~/.aws."
        remedy = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or s3.profile; or read with s3.anonymous."
        raise DatasetError("store", message, remedy)

    def provide() -> "S3Credential":
        keys = found.get_frozen_credentials()
        # Those that expire are renewed by botocore when it is asked, a quarter of an hour before they do.
        expires_at = datetime.now(UTC) + timedelta(minutes=10) if hasattr(found, "refresh_needed") else None
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": expires_at,
        }

    return provide
