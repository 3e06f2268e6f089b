"""A teacher, ready to be planned with and to be started: planning needs no engine."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate.prompts import Prompt
from annotate.teachers.chat import load_processor, render
from annotate.teachers.engine import EngineName, EngineOptions, LabelEngine
from annotate.teachers.fingerprint import teacher_spec
from annotate.teachers.presets import PRESETS, find_checkpoint
from schemas.errors import TeacherMissing
from schemas.teacher_spec import PromptSpec, TeacherSpec


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

    def read(self, prompt: Prompt) -> PromptSpec:
        """The prompt as this teacher reads it. Raises LabelTokenError, TeacherMissing."""
        return render(prompt, self.processor, where=self.checkpoint)

    def start(self) -> LabelEngine:
        """Load the weights. Raises TeacherMissing."""
        match self.engine_name:
            case "vllm":
                from annotate.teachers.vllm_engine import VllmEngine

                return VllmEngine(self.checkpoint, self.options)
            case "transformers":
                from annotate.teachers.transformers_engine import TransformersEngine

                return TransformersEngine(self.checkpoint, self.options)


def find_teacher(
    model: str,
    *,
    engine: EngineName | None = None,
    dtype: str | None = None,
    max_tiles: int | None = None,
    quantization: str = "none",
) -> Teacher:
    """Find a teacher by preset, folder or hub id, without starting it.

    Args:
        model: preset name, folder or hub id.
        engine: which engine; None takes vLLM where it is installed.
        dtype: number format; None takes the preset's, bfloat16 for others.
        max_tiles: most tiles per image; None takes the preset's, 4 for others.
        quantization: vLLM's name of a method, or `none`.

    Raises:
        TeacherMissing: the weights or the engine cannot be had.
    """
    preset = PRESETS.get(model)
    options = EngineOptions(
        dtype=dtype or (preset.dtype if preset else "bfloat16"),
        max_tiles=max_tiles or (preset.max_tiles if preset else 4),
        quantization=quantization,
    )
    checkpoint = find_checkpoint(model)
    chosen = engine or ("vllm" if _installed("vllm") else "transformers")
    if not _installed(chosen):
        raise TeacherMissing(
            f"the engine {chosen} is not installed",
            where=f"--engine {chosen}",
            fix="pip install 'leaf-iqa[annotate]', or install requirements/cuda.txt or cpu.txt",
        )
    return Teacher(
        spec=teacher_spec(checkpoint, options),
        checkpoint=checkpoint.path,
        options=options,
        engine_name=chosen,
        processor=load_processor(checkpoint.path),
    )


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
