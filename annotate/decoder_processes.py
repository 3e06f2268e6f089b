"""Decode pictures in processes of their own: a picture that kills its decoder kills only that.

Each process is an interpreter started for the purpose and spoken to over a socket: pickled calls
go in, and pixels come back in unnamed shared memory. It imports nothing of the program that started
it, takes no part in its Ctrl-C, and ends when the socket does, so none outlives its parent, however
that ends.
"""

import mmap
import os
import pickle
import queue
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, NamedTuple, cast

from PIL import Image

from schemas.errors import ImageError

Call = Callable[[], Image.Image]

CALLS_AHEAD = 3
"""Calls that lie with a process, so that it never waits for its next."""
DEATHS = 2
"""Processes that one call may kill before it is given up; the first may have died of another
cause, such as the whole machine running out of memory."""

_LENGTH = struct.Struct("<I")
_HEADER = struct.Struct("<BII")  # kind; width and height, or the bytes of a pickled error and 0
_READY, _PICTURE, _ERROR = range(3)


@dataclass(slots=True)
class _Pending:
    call: bytes
    where: str
    future: "Future[Image.Image]"
    deaths: int = 0


class _Process(NamedTuple):
    popen: "subprocess.Popen[bytes]"
    socket: socket.socket

    def end(self) -> None:
        """Kill it and forget it."""
        self.popen.kill()
        self.popen.wait()
        self.socket.close()


class DecoderProcesses:
    """Some decoding processes, each with a thread here that feeds it.

    Args:
        count: how many; they start at once, and are ready within a second.
    """

    def __init__(self, count: int) -> None:
        self._calls: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._decoders = [_Decoder(self._calls) for _ in range(count)]

    def submit(self, call: Call, *, where: str) -> "Future[Image.Image]":
        """Make an RGB picture in another process.

        Args:
            call: what makes it; it and what it raises must pickle.
            where: names the picture should its decoder die.

        Returns:
            The picture to come, or what the call raised, or ImageError (`decoder_died`).
        """
        pending = _Pending(pickle.dumps(call), where, Future())
        self._calls.put(pending)
        return pending.future

    def close(self) -> None:
        """End all processes, whatever they are at; futures that are not done stay so."""
        for decoder in self._decoders:
            decoder.end()
            self._calls.put(None)
        for decoder in self._decoders:
            decoder.join()


class _Decoder(threading.Thread):
    """Feeds one process, and starts another when that dies."""

    def __init__(self, calls: "queue.SimpleQueue[_Pending | None]") -> None:
        super().__init__(name="decoder", daemon=True)
        self._calls = calls
        self._ended = False
        self._changing = threading.Lock()
        self._process = _start()
        self.start()

    def end(self) -> None:
        """Kill the process; the thread sees it, and ends."""
        with self._changing:
            self._ended = True
            self._process.popen.kill()

    def run(self) -> None:
        """Pass calls to the process and answers to their futures until told to end."""
        pending: deque[_Pending] = deque()
        try:
            self._greet()
            while self._feed(pending):
                try:
                    answer = _receive(self._process.socket)
                except (OSError, EOFError):
                    self._replace(pending)
                else:
                    _settle(pending.popleft().future, answer)
        except Exception as error:
            # Whoever waits for a picture must hear of it: this thread has nobody else to tell.
            for one in pending:
                one.future.set_exception(error)
            while not self._ended and (left := self._calls.get()):
                left.future.set_exception(error)
        finally:
            self._process.end()

    def _greet(self) -> None:
        try:
            _receive(self._process.socket)
        except (OSError, EOFError) as error:
            if not self._ended:
                raise RuntimeError("a decoding process does not start; see its message") from error

    def _feed(self, pending: deque[_Pending]) -> bool:
        """Hand calls over until the process has enough of them; False when it is time to end."""
        while not self._ended and len(pending) < CALLS_AHEAD:
            try:
                one = self._calls.get(block=not pending)
            except queue.Empty:
                break
            if one is None:
                return False
            pending.append(one)
            self._send(one)
        return not self._ended

    def _send(self, one: _Pending) -> None:
        with suppress(OSError):  # of a dead process; reading from it will tell
            self._process.socket.sendall(_LENGTH.pack(len(one.call)) + one.call)

    def _replace(self, pending: deque[_Pending]) -> None:
        """After a death, start again with what is not answered; the first was at work."""
        with self._changing:
            if self._ended:
                return
            self._process.end()
            self._process = _start()
        self._greet()
        pending[0].deaths += 1
        if pending[0].deaths == DEATHS:
            one = pending.popleft()
            one.future.set_exception(
                ImageError(
                    "the image kills the process that decodes it",
                    where=one.where,
                    fix="convert it to PNG with another program and add it again",
                    reason="decoder_died",
                )
            )
        for one in pending:
            self._send(one)


def _start() -> _Process:
    ours, theirs = socket.socketpair()
    # PYTHONPATH instead of the working directory, which may hold a folder of one of our names.
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = f"from annotate.decoder_processes import work; work({theirs.fileno()})"
    with theirs:
        popen = subprocess.Popen(
            [sys.executable, "-P", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            env=os.environ
            | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            process_group=0,  # Ctrl-C goes to every process of the terminal's group
        )
    return _Process(popen, ours)


def _receive(connection: socket.socket) -> Image.Image | Exception | None:
    """Read one answer: a picture, an exception, or None for a process that is ready."""
    start, descriptors, _, _ = socket.recv_fds(connection, _HEADER.size, 1)
    if not start:
        raise EOFError
    start += _exactly(connection, _HEADER.size - len(start))
    kind, width, height = _HEADER.unpack(start)
    if kind == _READY:
        return None
    if kind == _ERROR:
        error: Exception = pickle.loads(_exactly(connection, width))
        return error
    with os.fdopen(descriptors[0], "rb") as stream:
        shared = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
    with shared, memoryview(shared) as whole, whole[-3 * width * height :] as pixels:
        plain = cast("bytes", pixels)  # any buffer will do; it is copied into Pillow's memory
        return Image.frombuffer("RGB", (width, height), plain, "raw", "RGB", 0, 1)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def _settle(future: "Future[Image.Image]", answer: Image.Image | Exception | None) -> None:
    if isinstance(answer, Image.Image):
        future.set_result(answer)
    else:
        future.set_exception(answer or RuntimeError("a decoding process started twice"))


def work(descriptor: int) -> None:
    """Answer the calls that come over a socket until it ends; runs in a decoding process."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)  # the parent decides, and its end is ours
    with suppress(OSError, EOFError), socket.socket(fileno=descriptor) as connection:
        connection.sendall(_HEADER.pack(_READY, 0, 0))
        while True:
            (size,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
            _answer(pickle.loads(_exactly(connection, size)), connection)
    os._exit(0)  # nothing to tidy up, and nobody left to tell


def _answer(call: Call, connection: socket.socket) -> None:
    try:
        picture = call()
    except Exception as error:
        data = pickle.dumps(error)
        connection.sendall(_HEADER.pack(_ERROR, len(data), 0) + data)
        return
    with _shared_memory() as stream:
        # Pillow writes PPM, a line of text and then plain pixels, straight from its own memory.
        picture.save(stream, "PPM")
        header = _HEADER.pack(_PICTURE, *picture.size)
        socket.send_fds(connection, [header], [stream.fileno()])


def _shared_memory() -> IO[bytes]:
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("picture"), "wb")
    return tempfile.TemporaryFile()
