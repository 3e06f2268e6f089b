"""`annotate models`: the teachers that have a name, and what they need."""

from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from data_store.commands.options import JsonOption

if TYPE_CHECKING:
    from annotate.teachers.presets import Preset

HEADINGS = (
    "name",
    "hub id",
    "revision",
    "10⁹ parameters",
    "weights GiB",
    "KV cache bytes/token",
    "tiles",
    "tokens/image",
    "tokens/pair",
    "GPU GiB",
)


class Described(TypedDict):
    """One line of the list, as `--json` prints it."""

    name: str
    hub_id: str
    revision: str
    architecture: str
    dtype: str
    parameters: int
    weights_gib: float
    kv_cache_bytes_per_token: int
    max_tiles: int
    tokens_per_image: int
    tokens_per_pair: int
    questions: int
    gpu_gib: float


def models(
    *,
    max_tiles: Annotated[
        int | None,
        typer.Option(min=1, help="Most tiles per image; each preset's own if left out."),
    ] = None,
    questions: Annotated[
        int, typer.Option(min=1, help="Pair questions held on the GPU at a time.")
    ] = 64,
    as_json: JsonOption = False,
) -> None:
    """List the teachers that have a name, with their size, memory and tokens per image.

    Tokens are those of the largest image and of the longest pair question at the tile limit. GPU
    memory is that of the weights, the KV cache of so many such questions and 2 GiB to work in,
    divided by 0.9: a rule of thumb. Fewer questions are held where there is less.
    """
    from annotate.teachers.presets import PRESETS
    from data_store.console import print_json, print_table

    found = [_described(name, preset, max_tiles, questions) for name, preset in PRESETS.items()]
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["name"],
            one["hub_id"] or "ships with leaf-iqa",
            one["revision"][:8] or "-",
            f"{one['parameters'] / 1e9:.2f}",
            f"{one['weights_gib']:.1f}",
            one["kv_cache_bytes_per_token"],
            one["max_tiles"],
            one["tokens_per_image"],
            one["tokens_per_pair"],
            f"{one['gpu_gib']:.0f}",
        )
        for one in found
    ]
    print_table("", HEADINGS, rows)


def _described(name: str, preset: "Preset", max_tiles: int | None, questions: int) -> Described:
    from annotate.teachers.presets import GIB

    return {
        "name": name,
        "hub_id": "" if preset.is_shipped else preset.model,
        "revision": preset.revision,
        "architecture": preset.architecture,
        "dtype": preset.dtype,
        "parameters": preset.parameters,
        "weights_gib": round(preset.weight_bytes / GIB, 2),
        "kv_cache_bytes_per_token": preset.language_model.cache_bytes_per_token(preset.dtype),
        "max_tiles": max_tiles or preset.max_tiles,
        "tokens_per_image": preset.image_tokens(max_tiles).most(),
        "tokens_per_pair": preset.pair_tokens(max_tiles),
        "questions": questions,
        "gpu_gib": round(preset.gpu_bytes(questions, max_tiles) / GIB, 1),
    }
