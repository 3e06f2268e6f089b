"""One process that decodes pictures: how it is started, spoken to and ended, and what it does.

It is an interpreter started for the purpose and spoken to over a socket: pickled calls go in, and
pixels come back in unnamed shared memory. It imports nothing of the program that started it, takes
no part in its Ctrl-C, and ends when the socket does, so it never outlives its parent, however that
ends.
"""

import mmap
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import IO, cast

from PIL import Image

Call = Callable[[], Image.Image]

_LENGTH = struct.Struct("<I")
_HEADER = struct.Struct("<BII")  # kind; width and height, or the bytes of a pickled error and 0
_READY, _PICTURE, _SMALL_PICTURE, _ERROR = range(4)
_SMALL_BYTES = 1 << 16  # up to here sending the pixels is cheaper than sharing memory


class Decoder:
    """A decoding process, as its parent sees it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        # PYTHONPATH instead of the working directory, which may hold a folder of one of our names.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-c"),
                    f"from annotate.decoder import work; work({theirs.fileno()})",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=os.environ
                | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                process_group=0,  # Ctrl-C goes to every process of the terminal's group
            )

    def send(self, pickled: bytes) -> None:
        """Hand a call over; a process that is dead is told by `receive` alone."""
        with suppress(OSError):
            self._socket.sendall(_LENGTH.pack(len(pickled)) + pickled)

    def receive(self) -> Image.Image | Exception | None:
        """Wait for its next answer: a picture, what the call raised, or first None for ready.

        Raises:
            EOFError, OSError: the process is dead.
        """
        start, descriptors, _, _ = socket.recv_fds(self._socket, _HEADER.size, 1)
        if not start:
            raise EOFError
        start += _exactly(self._socket, _HEADER.size - len(start))
        kind, width, height = _HEADER.unpack(start)
        if kind == _READY:
            return None
        if kind == _ERROR:
            error: Exception = pickle.loads(_exactly(self._socket, width))
            return error
        if kind == _SMALL_PICTURE:
            pixels = _exactly(self._socket, 3 * width * height)
            return Image.frombytes("RGB", (width, height), pixels)
        with os.fdopen(descriptors[0], "rb") as stream:
            shared = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
        with shared, memoryview(shared) as whole, whole[-3 * width * height :] as end:
            plain = cast("bytes", end)  # any buffer will do; it is copied into Pillow's memory
            return Image.frombuffer("RGB", (width, height), plain, "raw", "RGB", 0, 1)

    def kill(self) -> None:
        """End it; whoever waits in `receive` hears of it."""
        self._process.kill()

    def close(self) -> None:
        """End it and leave nothing of it."""
        self._process.kill()
        self._process.wait()
        self._socket.close()


def work(descriptor: int) -> None:
    """Answer the calls that come over a socket until it ends; runs in the decoding process."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)  # the parent decides, and its end is ours
    with suppress(OSError, EOFError), socket.socket(fileno=descriptor) as connection:
        connection.sendall(_HEADER.pack(_READY, 0, 0))
        while True:
            (size,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
            _answer(_exactly(connection, size), connection)
    os._exit(0)  # nothing to tidy up, and nobody left to tell


def _answer(pickled: bytes, connection: socket.socket) -> None:
    try:
        call: Call = pickle.loads(pickled)
        picture = call()
    except Exception as error:
        data = pickle.dumps(error)
        connection.sendall(_HEADER.pack(_ERROR, len(data), 0) + data)
        return
    if 3 * picture.width * picture.height <= _SMALL_BYTES:
        header = _HEADER.pack(_SMALL_PICTURE, *picture.size)
        connection.sendall(header + picture.tobytes())
        return
    with _shared_memory() as stream:
        # Pillow writes PPM, a line of text and then plain pixels, straight from its own memory.
        picture.save(stream, "PPM")
        header = _HEADER.pack(_PICTURE, *picture.size)
        socket.send_fds(connection, [header], [stream.fileno()])


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def _shared_memory() -> IO[bytes]:
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("picture"), "wb")
    return tempfile.TemporaryFile()
