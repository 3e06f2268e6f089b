"""Runs in child processes that tests kill, or that work together: `python -m … STORE CONFIG`.

Lines of JSON on stdin are orders: a run's folder, settings, and either after how many seconds
each process is killed (null: never) or, for several, which of them. Children are forked after
the imports, so that a kill goes into the work and not into loading packages. The answer to an
order is a line with their exit codes; negative is the signal that ended them.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import pyarrow

READY = "ready\n"
REPOSITORY = Path(__file__).resolve().parents[2]


class Nursery:
    """The parent process, from the side of a test."""

    def __init__(self, store: Path, config: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.train.run_nursery", str(store), str(config)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self._process.stdout.readline() == READY

    def run(
        self,
        folder: Path,
        settings: Sequence[str] = (),
        *,
        kill_after_s: Sequence[float | None] = (None,),
        wait_for: str = "",
    ) -> list[int]:
        """Train in as many processes as there are times to kill; returns their exit codes.

        The times count from the start, or from when `wait_for` appears in the run's folder.
        """
        order = {
            "folder": str(folder),
            "settings": list(settings),
            "kill_after_s": list(kill_after_s),
            "wait_for": wait_for,
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(timeout=60) == 0


def _work(store: str, config: str, order: dict, said: int) -> int:
    """One child's life; what it says goes to a file beside the run."""
    from schemas.errors import LeafError

    os.dup2(said, 1)
    os.dup2(said, 2)
    try:
        from data_store.layout import open_store
        from data_store.settings import load_settings
        from train.run import train_run
        from train.settings import RunSettings

        settings = load_settings(RunSettings, Path(config), order["settings"])
        train_run(open_store(store), Path(order["folder"]), settings)
    except LeafError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _fork(store: str, config: str, order: dict, env: dict[str, str]) -> int:
    said = os.open(f"{order['folder']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    child = os.fork()
    if child == 0:
        os.environ.update(env)
        code = _work(store, config, order, said)
        sys.stderr.flush()
        os._exit(code)
    os.close(said)
    return child


def _serve(store: str, config: str, order: dict) -> list[int]:
    times = order["kill_after_s"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(len(times)):
        env = {"RANK": rank, "WORLD_SIZE": len(times), "LOCAL_RANK": rank, "MASTER_PORT": port}
        env = {**env, "MASTER_ADDR": "127.0.0.1"} if len(times) > 1 else {}
        children.append(_fork(store, config, order, {key: str(env[key]) for key in env}))
    while order["wait_for"] and not (Path(order["folder"]) / order["wait_for"]).exists():
        time.sleep(0.005)
    return _ended(children, times)


def _ended(children: list[int], kill_after_s: list[float | None]) -> list[int]:
    """Kill each child when its time has come, and wait for all."""
    codes: dict[int, int] = {}
    kills = {child: after_s for child, after_s in zip(children, kill_after_s, strict=True)}
    start = time.monotonic()
    while len(codes) < len(children):
        for child in set(children) - codes.keys():
            after_s = kills[child]
            if after_s is not None and time.monotonic() - start >= after_s:
                os.kill(child, signal.SIGKILL)
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                codes[child] = os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return [codes[child] for child in children]


def main() -> None:
    import train.run  # noqa: F401 - loaded before forking

    pyarrow.array([0])  # where pandas is installed, the first array loads it
    sys.stdout.write(READY)
    sys.stdout.flush()
    for line in sys.stdin:
        codes = _serve(sys.argv[1], sys.argv[2], json.loads(line))
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
