"""The server of the tests is what they take it for: a real one, on loopback alone, that survives its own death."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import botocore.session
import pytest
from botocore.exceptions import ClientError, SSLError

from s3 import server as server_module
from s3.conftest import require_server
from s3.server import Server

pytestmark = pytest.mark.s3


def code(request, **parameters):
    """Return the code of the error that a request must end with."""
    with pytest.raises(ClientError) as error:
        request(**parameters)
    return error.value.response["Error"]["Code"]


def read(server, bucket, key):
    return server.client.get_object(Bucket=bucket, Key=key)["Body"].read()


def listeners(process: int) -> set[str]:
    """Return the addresses that a process listens on, as Linux has them: little-endian hexadecimal."""
    sockets = {str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, _, _, _, _, _, inode, *_ = line.split()
            if state == "0A" and f"socket:[{inode}]" in sockets:
                found.add(local.split(":")[0])
    return found


def test_refuses_what_a_real_store_refuses(server, bucket):
    """A wrong key, a key that may only read, and a bucket that is not there are errors; keys lie in a file of ours."""
    reader, parameters = server.connect("reader"), {"Bucket": bucket, "Key": "key"}
    server.client.put_object(**parameters, Body=b"value")
    assert read(server, bucket, "key") == reader.get_object(**parameters)["Body"].read() == b"value"
    assert code(reader.put_object, **parameters, Body=b"other") == "AccessDenied"
    assert code(server.client.put_object, Bucket="not-there", Key="key", Body=b"") == "NoSuchBucket"
    server.keys["stranger"] = server.keys["writer"] | {"secretKey": "wrong"}
    assert code(server.connect("stranger").get_object, **parameters) == "SignatureDoesNotMatch"
    assert stat.S_IMODE((server.folder / "s3.json").stat().st_mode) == 0o600


def test_listens_on_loopback_alone(server):
    """The network cannot reach it, and it does not look for who could be told of it."""
    assert listeners(server.process.pid) == {"0100007F"}
    assert "-master.telemetry=false" in Path(f"/proc/{server.process.pid}/cmdline").read_text().split("\0")


def test_finds_nothing_of_ours_in_its_environment(server):
    """Credentials of who runs the tests are not handed on."""
    names = Path(f"/proc/{server.process.pid}/environ").read_text().split("\0")
    assert not [name for name in names if name.startswith(("AWS_", "WEED_", "S3_"))]


def test_killed_and_started_again(tmp_path):
    """After kill -9 it has, at the same address, what it had acknowledged; a new start finds it again with its keys."""
    require_server()
    with Server(tmp_path) as server:
        server.make_bucket("kept")
        for number in range(20):
            server.client.put_object(Bucket="kept", Key=str(number), Body=bytes([number]) * 100_000)
        endpoint = server.endpoint
        server.kill()
        server.start()
        assert server.endpoint == endpoint
        assert read(server, "kept", "7") == b"\7" * 100_000
    with Server(tmp_path) as again:
        assert again.keys == server.keys
        assert read(again, "kept", "19") == b"\x13" * 100_000


def test_tls(tls_server, tls_bucket, monkeypatch):
    """Over https it is trusted because of its authority, and not otherwise."""
    tls_server.client.put_object(Bucket=tls_bucket, Key="key", Body=b"value")
    assert read(tls_server, tls_bucket, "key") == b"value"
    monkeypatch.delenv("AWS_CA_BUNDLE")
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(SSLError):
        botocore.session.Session().create_client("s3").list_buckets()


def test_runs_a_command(tmp_path):
    """A command finds server and bucket in its environment, and nothing of another store; its exit code is returned."""
    require_server()
    program = (
        "import botocore.session as b; print(b.Session().create_client('s3').list_buckets()['Buckets'][0]['Name'])"
    )
    command = (sys.executable, server_module.__file__, "--folder", tmp_path, "--bucket", "first", "--")
    environment = os.environ | {"AWS_PROFILE": "none", "AWS_SESSION_TOKEN": "old", "AWS_ACCESS_KEY_ID": "other"}
    run = subprocess.run(
        [*command, sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, "first\n"), run.stderr
    assert subprocess.run([*command, "false"], check=False).returncode == 1
