"""A teacher that learns to say scores: frozen weights, low-rank updates, token rows and an MLP."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import peft
import torch
import transformers
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForImageTextToText

from annotate.questions import Question
from annotate.readouts.score_mlp import ScoreMlp
from annotate.tuning.sight import Seen
from schemas.errors import InputError, TeacherMissing


class Said(NamedTuple):
    """What the teacher makes of a batch, float32."""

    states: Tensor  # (B, D) at the answer position
    logits: Tensor  # (B, V + K): tokens it knew, then the score tokens
    scores: Tensor  # (B,) on the scale of MOS, not clamped


class LowRank(NamedTuple):
    """Which low-rank updates are learnt."""

    rank: int
    alpha: int
    dropout: float
    modules: tuple[str, ...]


class TunedTeacher(nn.Module):
    """Weights of a teacher, what is learnt on top of them, and how both answer.

    Only the last hidden state at the end of the question is read: the state that predicts the
    score token, because the question ends with the beginning of the answer.

    Args:
        model: the teacher's weights, all frozen; its language model gets the updates.
        updates: of the language model.
        known_tokens: V, ids below it are tokens that the teacher knew.
        score_tokens: K.
        hidden: widths of the MLP's hidden layers.
        train_projector: whether what turns the tower's patches into tokens is trained as well.
    """

    def __init__(
        self,
        model: Any,
        updates: LowRank,
        *,
        known_tokens: int,
        score_tokens: int,
        hidden: Sequence[int],
        train_projector: bool,
    ) -> None:
        super().__init__()
        self._model = model
        self._known = known_tokens
        width = model.get_output_embeddings().weight.shape[1]
        model.requires_grad_(requires_grad=False)
        language_model = with_updates(model.model.language_model, updates)
        self._language_model = language_model
        if train_projector:  # in float32: steps of half precision would be lost by rounding
            model.model.multi_modal_projector.float().requires_grad_()
        self.rows = nn.Parameter(torch.zeros(score_tokens, width))
        self.mlp = ScoreMlp(width, hidden)
        self.to(model.device)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.rows.device

    @property
    def known_tokens(self) -> int:
        """V: the id of the first score token."""
        return self._known

    def learnt(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return {name: one for name, one in self.named_parameters() if one.requires_grad}

    def train(self, mode: bool = True) -> "TunedTeacher":  # noqa: FBT001, FBT002 - as in torch
        """Training mode for what is trained; what sees stays as it is when it answers."""
        super().train(mode)
        self._model.model.vision_tower.eval()
        return self

    def merge_updates(self) -> Any:
        """Add the updates to the weights for good; returns the teacher without them."""
        self._language_model = self._language_model.merge_and_unload()
        return self._model

    def start_rows(self, question: Question) -> None:
        """Start all token rows at the mean of the level words' rows of the output matrix.

        Words that are read as sequences of tokens have no row; without any, at the mean of all.
        """
        matrix = self._model.get_output_embeddings().weight[: self._known].detach().float()
        words = [token for ids in question.spec.label_token_ids for token in ids]
        with torch.no_grad():
            self.rows.copy_(matrix[words or slice(None)].mean(dim=0).expand_as(self.rows))

    def states(self, seen: Sequence[Seen]) -> Tensor:
        """(B, D) float32, the last hidden state at the end of each question."""
        lengths = torch.tensor([len(one.token_ids) for one in seen], device=self.device)
        # Padded on the right: a causal model never looks there, so that no mask is needed.
        ids = pad_sequence([one.token_ids for one in seen], batch_first=True).to(self.device)
        words = self._model.get_input_embeddings()(ids)
        projector = self._model.model.multi_modal_projector
        seen_features = torch.cat([one.features for one in seen])
        features = projector(seen_features.to(self.device, projector.linear_1.weight.dtype))
        places = (ids == self._model.config.image_token_id)[..., None]
        hidden = self._language_model(
            inputs_embeds=words.masked_scatter(places, features.to(words)), use_cache=False
        ).last_hidden_state
        at_the_end: Tensor = hidden[torch.arange(len(seen), device=self.device), lengths - 1]
        return at_the_end.float()

    def forward(self, seen: Sequence[Seen]) -> Said:
        """Answer a batch."""
        states = self.states(seen)
        with torch.autocast(self.device.type, enabled=False):
            # Rows behind the known tokens belong to no token and take no part.
            matrix = self._model.get_output_embeddings().weight[: self._known]
            known = nn.functional.linear(states.to(matrix.dtype), matrix).float()
            logits = torch.cat([known, nn.functional.linear(states, self.rows)], dim=-1)
            return Said(states, logits, self.mlp(states))


def load_weights(checkpoint: Path, dtype: str) -> Any:
    """A teacher's weights on the best device, in float32 on a CPU.

    Raises:
        TeacherMissing: they cannot be loaded.
    """
    on_gpu = torch.cuda.is_available()
    transformers.utils.logging.disable_progress_bar()  # of loading; ours is the one to watch
    try:
        model = AutoModelForImageTextToText.from_pretrained(
            checkpoint,
            dtype=getattr(torch, dtype) if on_gpu else torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise TeacherMissing(
            f"the checkpoint cannot be loaded: {str(error).splitlines()[0]}",
            where=checkpoint,
            fix="give a folder with config.json and *.safetensors of a supported model",
        ) from error
    return model.to("cuda" if on_gpu else "cpu").eval()


def with_updates(language_model: Any, updates: LowRank) -> Any:
    """Put low-rank updates beside linear maps; they start at nothing.

    Raises:
        InputError: none of the named modules is there.
    """
    config = peft.LoraConfig(
        r=updates.rank,
        lora_alpha=updates.alpha,
        lora_dropout=updates.dropout,
        bias="none",
        target_modules=list(updates.modules),
    )
    try:
        return peft.get_peft_model(language_model, config)
    except ValueError as error:
        linear = {
            name.rpartition(".")[2]
            for name, module in language_model.named_modules()
            if isinstance(module, nn.Linear)
        }
        raise InputError(
            f"the language model has no linear map named {' or '.join(updates.modules)}",
            where="modules",
            fix=f"name some of {', '.join(sorted(linear))}",
        ) from error
