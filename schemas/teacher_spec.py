"""Who answers (`TeacherSpec`) and what is asked (`PromptSpec`), and the ids that follow.

A part belongs to the identity when changing it may change an answer on purpose. The engine,
its version and the hardware are provenance: upgrading them must not throw away answers that
were paid for (docs/decisions/0003-identity-is-content.md).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.ids import id_of


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TeacherSpec(_Spec):
    """A teacher, in full."""

    name: str
    """What people call it: a preset, a hub id or a folder name. Not part of the identity."""
    revision: str
    """Commit of the hub repository, or empty. Not part of the identity: the weights say it."""
    architecture: str
    """Model class that the checkpoint names."""
    weights_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Hash of the hashes of the weight, configuration and tokenizer files."""
    preprocessing_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Hash of the image preprocessing configuration."""
    max_tiles: int = Field(ge=1)
    """Most tiles one image is cut into."""
    dtype: str
    """Number format that the weights are run in: float32, bfloat16, …"""
    quantization: str
    """Quantisation method, or `none`."""
    decoding: Literal["full", "shrunk"] = "full"
    """Whether large images are decoded whole, or at a size not far above what the model sees."""

    @property
    def teacher_id(self) -> str:
        """SHA-256 of the canonical JSON of who answers, hex."""
        # `decoding` came later; teachers of before keep their ids, and their paid answers.
        later = {"decoding"} if self.decoding == "full" else set()
        return id_of(self.model_dump(exclude={"name", "revision"} | later))


class PromptSpec(_Spec):
    """A question as one teacher's tokenizer renders it."""

    kind: Literal["point", "pair"]
    """Whether one image is rated or two are compared."""
    text: str
    """The rendered chat text, image places and stem included."""
    labels: tuple[str, ...]
    """The answers that are read, in the order of the stored log-probabilities."""
    label_token_ids: tuple[tuple[int, ...], ...]
    """For each label the token ids whose probabilities are added up."""
    label_sequences: tuple[tuple[tuple[int, ...], ...], ...] = ()
    """For each label the sequences of several tokens whose probabilities are added too."""

    @property
    def prompt_id(self) -> str:
        """SHA-256 of the canonical JSON of what is asked, hex."""
        # As above: prompts whose labels are single tokens keep the ids they had before sequences.
        later = set() if self.label_sequences else {"label_sequences"}
        return id_of(self.model_dump(mode="json", exclude=later))
