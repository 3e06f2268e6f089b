"""The engine for real work: vLLM, streaming, on NVIDIA GPUs or on the CPU.

What it is asked for is a `VllmTask` (`vllm_task.py`): tokens, or hidden states.
"""

import gc
import multiprocessing
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Generic, overload

import torch

from annotate.teachers.engine import EngineOptions, TokenAnswer, TokenRequest
from annotate.teachers.vllm_arguments import llm_arguments, set_environment
from annotate.teachers.vllm_task import TOKENS, Answer, VllmTask
from schemas.errors import EngineFailed, EngineOutOfMemory, TeacherMissing

TRIES = 2
BAD_REQUEST = (ValueError, TypeError, LookupError, ArithmeticError, AssertionError)
"""What preparing an unfit image or text raises; a dead core raises none of these."""


@dataclass(slots=True)
class _Open(Generic[Answer]):
    """A request that was drawn and not yet given back."""

    request: TokenRequest
    tries: int = 0
    answer: Answer | None = None


class VllmEngine(Generic[Answer]):
    """A teacher run by vLLM: its scheduler in this process, on a GPU its core in one of its own."""

    @overload
    def __init__(
        self: "VllmEngine[TokenAnswer]", checkpoint: Path, options: EngineOptions
    ) -> None: ...

    @overload
    def __init__(
        self, checkpoint: Path, options: EngineOptions, task: VllmTask[Answer]
    ) -> None: ...

    def __init__(self, checkpoint: Path, options: EngineOptions, task: Any = TOKENS) -> None:
        set_environment()
        self._options = options
        self._task: VllmTask[Answer] = task
        try:
            with warnings.catch_warnings():
                # vLLM warns of what it will do about torch's next release; users cannot act on it.
                warnings.simplefilter("ignore", FutureWarning)
                import vllm
                from vllm import exceptions

                self._vllm = vllm
                # Older ones say ValueError to a request that they will not take.
                refusal = getattr(exceptions, "VLLMClientError", ValueError)
                self._refusals = (refusal, *BAD_REQUEST)
                before = set(multiprocessing.active_children())
                self._llm = vllm.LLM(**llm_arguments(checkpoint, options), **self._task.arguments)
                cores = set(multiprocessing.active_children()) - before
                _wake_on_death(cores, self._llm.llm_engine.engine_core)
        except torch.OutOfMemoryError as error:
            raise _out_of_memory(error, "the start of vLLM") from error
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise TeacherMissing(
                f"vLLM cannot run this checkpoint: {_first_line(error)}",
                where=checkpoint,
                fix="check the message above; --engine transformers is the slower fallback",
            ) from error

    @property
    def provenance(self) -> str:
        """Engine, version and hardware, for the footer of the shards."""
        hardware = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        return (
            f"vllm {self._vllm.__version__}, torch {torch.__version__},"
            f" {self._options.dtype} on {hardware}"
        )

    def stream(self, requests: Iterable[TokenRequest]) -> Iterator[Answer]:
        """Answer requests in order; while vLLM's core works, the next ones are prepared here.

        Raises:
            EngineOutOfMemory: the device is full.
            EngineFailed: vLLM's core died, or it raised what no single request is to blame for.
        """
        coming = iter(requests)
        window: deque[_Open[Answer]] = deque()  # in the order drawn
        running: dict[str, _Open[Answer]] = {}  # by vLLM's name of the request
        try:
            while True:
                while len(window) < self._options.in_flight:
                    request = next(coming, None)
                    if request is None:
                        break
                    window.append(_Open(request))
                    self._submit(window[-1], running)
                if not window:
                    return
                if window[0].answer is None:
                    self._step(running)
                while window and (answer := window[0].answer) is not None:
                    window.popleft()
                    yield answer
        finally:
            if running:  # the caller left in mid-stream, or the engine failed
                with suppress(Exception):  # a dead engine has nothing to abort
                    self._llm.llm_engine.abort_request(list(running))

    def close(self) -> None:
        """End vLLM's processes and free the device."""
        llm, self._llm = self._llm, None
        if llm is None:
            return
        with suppress(Exception):  # what is dead already need not be shut down
            llm.llm_engine.engine_core.shutdown()
        with suppress(Exception):
            llm.llm_engine.renderer.shutdown()
        del llm
        self._vllm.distributed.cleanup_dist_env_and_memory()
        gc.collect()
        multiprocessing.active_children()  # takes leave of those that have ended

    def _submit(self, opened: _Open[Answer], running: dict[str, _Open[Answer]]) -> None:
        opened.tries += 1
        request = opened.request
        prompt = {
            "prompt": request.text,
            "multi_modal_data": {"image": list(request.images)},
            "multi_modal_uuids": {"image": [name or None for name in request.image_ids]},
        }
        try:
            name = self._task.enqueue(self._vllm, self._llm, prompt, request)
        except self._refusals as error:
            opened.answer = self._task.refused(f"vLLM refuses the question: {_first_line(error)}")
        except Exception as error:
            raise _failed(error, len(running)) from error
        else:
            # vLLM answers under the first part; since 0.14 it adds a random one for itself.
            running[name.split("-")[0]] = opened

    def _step(self, running: dict[str, _Open[Answer]]) -> None:
        try:
            outputs = self._llm.llm_engine.step()
        except Exception as error:  # whatever it was, vLLM's state is unknown from here on
            raise _failed(error, len(running)) from error
        for output in outputs:
            if not output.finished:
                continue
            opened = running.pop(output.request_id)
            opened.answer = self._task.answer(output, opened.request)
            if opened.answer.problem and opened.tries < TRIES:
                # vLLM's two caches of images can disagree for a moment; it mends them itself.
                opened.answer = None
                self._submit(opened, running)


def _wake_on_death(cores: set[multiprocessing.process.BaseProcess], client: Any) -> None:
    """Have a core that is killed end the wait for its answers, which else lasts for ever.

    A core that fails says so; one that is killed, as by a machine out of memory, does not, and
    vLLM's client then goes on waiting at its queue.
    """
    outputs = getattr(client, "outputs_queue", None)
    if not cores or outputs is None:  # the core runs in this process
        return

    def watch() -> None:
        wait([core.sentinel for core in cores])
        outputs.put_nowait(RuntimeError("the process of vLLM's core ended"))

    threading.Thread(target=watch, name="vllm-core-watch", daemon=True).start()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _failed(error: Exception, running: int) -> EngineFailed:
    if isinstance(error, torch.OutOfMemoryError):
        return _out_of_memory(error, f"{running} questions in flight")
    return EngineFailed(
        f"vLLM stopped: {type(error).__name__}: {_first_line(error)}",
        where=f"{running} questions in flight",
        fix="run the same command again; what was committed is not asked again",
    )


def _out_of_memory(error: Exception, where: str) -> EngineOutOfMemory:
    return EngineOutOfMemory(
        f"the GPU is out of memory: {_first_line(error)}",
        where=where,
        fix="leave vLLM a smaller share of the memory, or cut images into fewer tiles",
    )
