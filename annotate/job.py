"""One run of the teacher as it is told to a worker, here or on another machine."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from annotate.prompts import Prompt
from annotate.teachers.engine import EngineName, EngineOptions
from annotate.teachers.teacher import Teacher, find_teacher

TableName = Literal["points", "pairs", "embeddings"]


class Pace(NamedTuple):
    """How much may be lost when the process dies, and how images are decoded."""

    shard_rows: int = 20_000
    """Answers per shard."""
    shard_seconds: float = 60.0
    """A shard is also committed when it holds answers for so long."""
    decoders: int | None = None
    """Processes that decode images; None chooses by the machine and the work."""


DEFAULT_PACE = Pace()


@dataclass(frozen=True, slots=True)
class TeacherChoice:
    """A teacher as the user names it, and how it is to be run; travels to other machines."""

    model: str
    engine: EngineName | None = None
    dtype: str | None = None
    max_tiles: int | None = None
    quantization: str = "none"
    revision: str = ""
    decoding: Literal["full", "shrunk"] | None = None
    running: EngineOptions | None = None
    """How to run it; what is part of the identity is taken from the fields above."""

    def find(self) -> Teacher:
        """Find it on this machine, without starting it. Raises TeacherMissing."""
        teacher = find_teacher(
            self.model,
            engine=self.engine,
            dtype=self.dtype,
            max_tiles=self.max_tiles,
            quantization=self.quantization,
            decoding=self.decoding,
            revision=self.revision,
        )
        if self.running is None:
            return teacher
        named = teacher.options
        options = replace(
            self.running,
            dtype=named.dtype,
            max_tiles=named.max_tiles,
            quantization=named.quantization,
        )
        return replace(teacher, options=options)


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked, and where the answers go."""

    store: str
    """Address of the store."""
    table: TableName
    prompts: tuple[Prompt, ...]
    pace: Pace = DEFAULT_PACE
