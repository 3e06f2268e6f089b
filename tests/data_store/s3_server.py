"""A server that speaks S3, for tests: moto's, in a process of its own on this machine.

    python -m tests.data_store.s3_server

prints its address and serves until its standard input ends, so it cannot outlive the tests.
Objects are kept in memory. Each request is logged on stderr.
"""

import os
import re
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

KEYS_PER_PAGE = 5
"""So few that almost every listing needs several pages."""

_REQUEST = re.compile(r"(GET|PUT|POST|HEAD|DELETE) (\S+) HTTP")


@dataclass(frozen=True)
class S3Server:
    """A running server."""

    url: str
    log: Path
    process: subprocess.Popen[str]

    def environment(self) -> dict[str, str]:
        """What AWS's own settings must be for a client to come here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def request(self, method: str, path: str, data: bytes | None = None) -> None:
        """Do something behind the client's back, such as making a bucket."""
        signed = {"Authorization": "AWS testing:unsigned", "Content-Type": "binary/octet-stream"}
        asked = urllib.request.Request(f"{self.url}/{path}", data, signed, method=method)
        urllib.request.urlopen(asked, timeout=30).close()

    def requests(self, bucket: str) -> list[str]:
        """Every request so far that concerned a bucket, as `METHOD /bucket/name?query`."""
        found = _REQUEST.findall(self.log.read_text(encoding="utf-8"))
        return [
            f"{method} {path}" for method, path in found if re.match(rf"/{bucket}([/?]|$)", path)
        ]

    def stop(self) -> None:
        self.process.communicate(timeout=30)


def start_server(log: Path, *, knows_credentials: bool = True) -> S3Server:
    """Start a server; one that knows no credentials refuses every request.

    The test that asks for it is skipped, saying so, where only the trainer's packages are there.
    """
    pytest.importorskip("moto", reason="moto, the S3 server of the tests, is not installed")
    environment = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(KEYS_PER_PAGE)}
    if not knows_credentials:
        environment["INITIAL_NO_AUTH_ACTION_COUNT"] = "0"
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.data_store.s3_server"],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    url = process.stdout.readline().strip()
    assert url, log.read_text(encoding="utf-8")
    return S3Server(url, log, process)


def _serve() -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    _serve()
