"""Who a teacher is: the hashes of the files that decide its answers."""

from pathlib import Path
from typing import Literal

from annotate.teachers.checkpoints import Checkpoint, read_config
from annotate.teachers.engine import EngineOptions
from schemas.ids import id_of, sha256_file
from schemas.teacher_spec import TeacherSpec

_PREPROCESSING = ("preprocessor_config.json", "processor_config.json")
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")


def teacher_spec(
    checkpoint: Checkpoint, options: EngineOptions, decoding: Literal["full", "shrunk"] = "full"
) -> TeacherSpec:
    """The spec of a checkpoint run with these options.

    The folder's name and place are not part of the identity: a copy elsewhere, or the same
    weights from a hub, are the same teacher.

    Raises:
        TeacherMissing: config.json cannot be read, or its architecture cannot be asked.
    """
    folder = checkpoint.path
    weights = {path.name: _content_hash(path) for path in sorted(folder.glob("*.safetensors"))}
    rest = [folder / name for name in ("config.json", *_TOKENIZER)]
    weights |= {path.name: _content_hash(path) for path in rest if path.is_file()}
    shown = [folder / name for name in _PREPROCESSING]
    return TeacherSpec(
        name=checkpoint.name,
        revision=checkpoint.revision,
        architecture=read_config(folder)["architectures"][0],
        weights_sha256=id_of(weights),
        preprocessing_sha256=id_of({p.name: _content_hash(p) for p in shown if p.is_file()}),
        max_tiles=options.max_tiles,
        dtype=options.dtype,
        quantization=options.quantization,
        decoding=decoding,
    )


def _content_hash(path: Path) -> str:
    # The hub's cache links large files to blobs named by their SHA-256; 16 GB are not read again.
    blob = path.resolve().name
    if path.is_symlink() and len(blob) == 64 and set(blob) <= set("0123456789abcdef"):
        return blob
    return sha256_file(path)
