"""A teacher, ready to be planned with and to be started: planning needs no engine."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from annotate.image_stream import Decoding
from annotate.prompts import Prompt
from annotate.questions import Question
from annotate.teachers.chat import load_processor, render
from annotate.teachers.checkpoints import find_checkpoint, read_config
from annotate.teachers.engine import EngineName, EngineOptions, TokenEngine
from annotate.teachers.fingerprint import teacher_spec
from annotate.teachers.image_tokens import ImageTokens
from annotate.teachers.presets import PRESETS
from annotate.teachers.states import StateAnswer, StateEngine
from schemas.errors import TeacherMissing
from schemas.teacher_spec import TeacherSpec

_PACKAGES: dict[EngineName, str] = {
    "vllm": "vllm",
    "transformers": "transformers",
    "server": "httpx",
}


@dataclass(frozen=True, slots=True)
class Teacher:
    """Who answers, and what is needed to start it."""

    spec: TeacherSpec
    checkpoint: Path
    options: EngineOptions
    engine_name: EngineName
    processor: Any

    @property
    def teacher_id(self) -> str:
        """SHA-256 of the teacher spec, hex."""
        return self.spec.teacher_id

    @property
    def image_tokens(self) -> ImageTokens:
        """How this teacher sees images: their tokens, and the size they are scaled to."""
        return ImageTokens.of_config(read_config(self.checkpoint), self.options.max_tiles)

    @property
    def decoding(self) -> Decoding:
        """How images are decoded for it."""
        if self.spec.decoding == "full":
            return Decoding()
        return Decoding("shrunk", self.image_tokens.shown_size)

    def read(self, prompt: Prompt) -> Question:
        """The prompt as this teacher reads it. Raises LabelTokenError, TeacherMissing."""
        return render(prompt, self.processor, where=self.checkpoint)

    def start(self) -> TokenEngine:
        """Load the weights; what comes back restarts itself. Raises TeacherMissing."""
        from annotate.teachers.supervisor import Supervised

        return Supervised(self._engine, self.options)

    def start_states(self) -> StateEngine:
        """Load the weights to be asked for hidden states; what comes back restarts itself.

        Raises:
            TeacherMissing: it cannot be started, or its engine gives no states.
        """
        from annotate.teachers.supervisor import Supervised

        self.require_states()
        return Supervised(self._state_engine, self.options, refused=StateAnswer.refused)

    def require_states(self) -> None:
        """Refuse a teacher whose engine gives no hidden states. Raises TeacherMissing."""
        if self.engine_name == "server":
            raise TeacherMissing(
                "a server is started to answer in words, and gives no hidden states",
                where="--engine server",
                fix="take --engine vllm or transformers, with the same --model",
            )

    def _engine(self, options: EngineOptions) -> TokenEngine:
        match self.engine_name:
            case "vllm":
                from annotate.teachers.vllm_engine import VllmEngine

                return VllmEngine(self.checkpoint, options)
            case "transformers":
                from annotate.teachers.transformers_engine import TransformersEngine

                return TransformersEngine(self.checkpoint, options)
            case "server":
                from annotate.teachers.server_engine import ServerEngine

                return ServerEngine(self.checkpoint, options)

    def _state_engine(self, options: EngineOptions) -> StateEngine:
        if self.engine_name == "vllm":
            from annotate.teachers.vllm_states import vllm_states

            return vllm_states(self.checkpoint, options)
        from annotate.teachers.transformers_states import transformers_states

        return transformers_states(self.checkpoint, options)


def find_teacher(  # noqa: PLR0913 - one argument for each option that users have
    model: str,
    *,
    engine: EngineName | None = None,
    dtype: str | None = None,
    max_tiles: int | None = None,
    quantization: str = "none",
    decoding: Literal["full", "shrunk"] | None = None,
    revision: str = "",
) -> Teacher:
    """Find a teacher by preset, folder or hub id, without starting it.

    Args:
        model: preset name, folder or hub id.
        engine: which engine; None takes vLLM where it is installed.
        dtype: number format; None takes the preset's, bfloat16 for others.
        max_tiles: most tiles per image; None takes the preset's, 4 for others.
        quantization: vLLM's name of a method, or `none`.
        decoding: whether large images are decoded whole; None takes the preset's, `full` for
            others.
        revision: commit of the hub repository; empty takes the preset's.

    Raises:
        TeacherMissing: the weights or the engine cannot be had.
    """
    preset = PRESETS.get(model)
    options = EngineOptions(
        dtype=dtype or (preset.dtype if preset else "bfloat16"),
        max_tiles=max_tiles or (preset.max_tiles if preset else 4),
        quantization=quantization,
    )
    checkpoint = find_checkpoint(model, revision=revision)
    chosen = engine or ("vllm" if _installed("vllm") else "transformers")
    if not _installed(_PACKAGES[chosen]):
        raise TeacherMissing(
            f"the engine {chosen} is not installed",
            where=f"--engine {chosen}",
            fix="pip install 'leaf-iqa[annotate]', or install requirements/cuda.txt or cpu.txt",
        )
    return Teacher(
        spec=teacher_spec(checkpoint, options, decoding or (preset.decoding if preset else "full")),
        checkpoint=checkpoint.path,
        options=options,
        engine_name=chosen,
        processor=load_processor(checkpoint.path),
    )


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
