"""Stores on object storage: a server for the session, and a bucket for each test."""

import pytest
import s3fs

from tests.data_store.s3_server import S3Server, start_server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    server = start_server(tmp_path_factory.mktemp("s3") / "requests.log")
    yield server
    server.stop()


@pytest.fixture
def bucket(s3_server: S3Server, tmp_path, monkeypatch, request) -> str:
    """The name of an empty bucket, which this process and those it starts can reach."""
    use_server(s3_server, monkeypatch)
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    name = f"bucket-{len(s3_server.log.read_text())}"
    s3_server.request("PUT", name)
    yield name
    s3fs.S3FileSystem.clear_instance_cache()


def use_server(server: S3Server, monkeypatch) -> None:
    """Send S3 requests of this process, and of those it starts, to a server."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    # A file system that s3fs made earlier keeps the address that it was made with.
    s3fs.S3FileSystem.clear_instance_cache()
