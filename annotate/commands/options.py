"""Options that several commands of `annotate` share, and what they amount to."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_store.completion import names

if TYPE_CHECKING:
    from annotate.executors.local import Executor
    from annotate.executors.share import Share
    from annotate.job import Pace, TeacherChoice
    from annotate.teachers.engine import EngineName
    from annotate.teachers.teacher import Teacher
    from data_store.layout import Store

TEACHER = "Who answers"
PACE = "How it runs"
PLACE = "Where it runs"


class Engine(StrEnum):
    """Which engine runs the teacher."""

    AUTO = "auto"
    VLLM = "vllm"
    TRANSFORMERS = "transformers"
    SERVER = "server"


class Decode(StrEnum):
    """How large images are decoded."""

    FULL = "full"
    SHRUNK = "shrunk"


class ExecutorName(StrEnum):
    """Who schedules the work."""

    LOCAL = "local"
    RAY = "ray"


def _presets() -> Iterable[str]:
    from annotate.teachers.presets import PRESETS

    return PRESETS


def _shipped_prompts() -> Iterable[str]:
    """As `annotate.prompts` lists them, without the libraries that it needs."""
    return (path.stem for path in (Path(__file__).parents[1] / "prompt_files").glob("*.toml"))


complete_prompts = names(_shipped_prompts)
"""For every --prompt."""

ModelOption = Annotated[
    str,
    typer.Option(
        help="Preset (`annotate models`), folder or hub id.", autocompletion=names(_presets)
    ),
]
ImagesOption = Annotated[
    Path | None, typer.Option("--images", help="Folder to add and ask about; all if left out.")
]


@dataclass(frozen=True, slots=True)
class TeacherOptions:
    """Who answers, and how it is run."""

    model: ModelOption
    engine: Annotated[Engine, typer.Option(help="auto takes vLLM where it is installed.")] = (
        Engine.AUTO
    )
    revision: Annotated[
        str,
        typer.Option(
            help="Commit of the hub repository; the preset's if left out.",
            rich_help_panel=TEACHER,
            show_default=False,
        ),
    ] = ""
    dtype: Annotated[
        str | None,
        typer.Option(
            help="float32, bfloat16 or float16; the preset's if left out.",
            rich_help_panel=TEACHER,
        ),
    ] = None
    max_tiles: Annotated[
        int | None,
        typer.Option(
            min=1, help="Most tiles per image; the preset's if left out.", rich_help_panel=TEACHER
        ),
    ] = None
    quantization: Annotated[
        str, typer.Option(help="vLLM's name of a method, or none.", rich_help_panel=TEACHER)
    ] = "none"
    decode: Annotated[
        Decode | None,
        typer.Option(
            help="shrunk: large images are decoded at a size near what the teacher sees, which is"
            " faster and makes another teacher id. The preset's if left out.",
            rich_help_panel=TEACHER,
        ),
    ] = None
    in_flight: Annotated[
        int,
        typer.Option(
            min=1, help="Questions handed over and not yet answered.", rich_help_panel=PACE
        ),
    ] = 128
    max_batch: Annotated[
        int,
        typer.Option(
            min=1,
            help="Questions in one forward pass; halved when the device is full.",
            rich_help_panel=PACE,
        ),
    ] = 256
    gpu_memory: Annotated[
        float,
        typer.Option(
            min=0.05, max=1.0, help="Share of GPU memory vLLM may take.", rich_help_panel=PACE
        ),
    ] = 0.9
    tensor_parallel: Annotated[
        int,
        typer.Option(min=1, help="GPUs that one engine is spread over.", rich_help_panel=PLACE),
    ] = 1
    url: Annotated[
        str,
        typer.Option(
            help="Address of a running vLLM server, with --engine server.",
            rich_help_panel=PLACE,
            show_default=False,
        ),
    ] = ""
    served_name: Annotated[
        str,
        typer.Option(
            help="What the server calls the model; the only one it serves if left out.",
            rich_help_panel=PLACE,
            show_default=False,
        ),
    ] = ""

    def choice(self) -> "TeacherChoice":
        """The teacher that the options name. Raises InputError where they contradict."""
        from annotate.job import TeacherChoice
        from annotate.teachers.engine import EngineOptions
        from schemas.errors import InputError

        if (self.engine is Engine.SERVER) != bool(self.url):
            raise InputError(
                "--engine server and --url belong together",
                where=f"--engine {self.engine.value} --url {self.url!r}",
                fix="say --engine server --url http://127.0.0.1:8000, or neither",
            )
        running = EngineOptions(
            dtype="",  # `TeacherChoice.find` fills in what makes the teacher who it is
            max_tiles=1,
            in_flight=self.in_flight,
            max_batch=self.max_batch,
            gpu_memory_share=self.gpu_memory,
            tensor_parallel=self.tensor_parallel,
            url=self.url,
            served_name=self.served_name,
        )
        return TeacherChoice(
            self.model,
            _ENGINE_NAMES[self.engine],
            self.dtype,
            self.max_tiles,
            self.quantization,
            self.revision,
            self.decode.value if self.decode else None,
            running,
        )


_ENGINE_NAMES: "dict[Engine, EngineName | None]" = {
    Engine.AUTO: None,
    Engine.VLLM: "vllm",
    Engine.TRANSFORMERS: "transformers",
    Engine.SERVER: "server",
}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How often answers are committed, and on which machines the work is done."""

    shard_rows: Annotated[
        int,
        typer.Option(min=1, help="Commit after so many answers, or after 60 s.",
                     rich_help_panel=PACE),
    ] = 20_000  # fmt: skip
    decoders: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes that decode images; by the machine if left out.",
            rich_help_panel=PACE,
        ),
    ] = None
    executor: Annotated[
        ExecutorName,
        typer.Option(
            help="ray spreads the work over the machines of a cluster.", rich_help_panel=PLACE
        ),
    ] = ExecutorName.LOCAL
    num_workers: Annotated[
        int, typer.Option(min=1, help="Engines that ray runs.", rich_help_panel=PLACE)
    ] = 1
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="GPUs that ray gives each engine; --tensor-parallel if left out, 0 without GPUs.",
            rich_help_panel=PLACE,
        ),
    ] = None
    share: Annotated[
        str,
        typer.Option(
            help="Our part where several of us run: K/N, all, or auto, which reads the rank that"
            " Slurm, SkyPilot or torchrun gives.",
            rich_help_panel=PLACE,
        ),
    ] = "auto"

    def pace(self) -> "Pace":
        """How often answers are committed, and how images are decoded."""
        from annotate.job import Pace

        return Pace(self.shard_rows, decoders=self.decoders)

    def our_share(self) -> "Share":
        """Our part of the work. Raises InputError."""
        from annotate.executors.share import find_share

        return find_share(self.share)

    def found_executor(self, choice: "TeacherChoice") -> "Executor":
        """Who does the work."""
        if self.executor is ExecutorName.RAY:
            from annotate.executors.ray_actors import RayExecutor

            return RayExecutor(choice, self.num_workers, self.gpus_per_worker)
        from annotate.executors.local import LOCAL

        return LOCAL


def find_both(
    choice: "TeacherChoice", store: str, images: Path | None
) -> "tuple[Teacher, Store, str | None]":
    """The teacher, the store, and the folder to look at if one was given.

    A store that is not there is said before the teacher is looked for, which takes seconds. With
    a folder the store is made and the images are added, but not before the teacher is found.

    Raises:
        TeacherMissing: the weights or the engine cannot be had.
        StoreMissing: there is no store, and no folder to fill one from.
    """
    from data_store.images.importer import add_images
    from data_store.layout import create_store, open_store

    if images is None:
        opened = open_store(store)
        return choice.find(), opened, None
    teacher = choice.find()
    opened = create_store(store)
    add_images(opened, images)
    return teacher, opened, str(images.expanduser().resolve())
