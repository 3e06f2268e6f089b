"""What vLLM is asked for and how its answers are read; the task of tokens.

The task of hidden states is `vllm_states.py`. Tasks are handed the module vllm, which lives in
`vllm_engine.py` alone.

`SamplingParams(logprob_token_ids=…)` returns the log-probabilities of just the chosen tokens, over
the whole vocabulary. `logprobs=k` with `allowed_token_ids` would return the k best of the
unmasked distribution, and tokens would go missing.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from annotate.teachers.engine import AnyAnswer, TokenAnswer, TokenRequest

Answer = TypeVar("Answer", bound=AnyAnswer)


class VllmTask(NamedTuple, Generic[Answer]):
    """One kind of question to vLLM."""

    arguments: Mapping[str, Any]
    """Of `vllm.LLM`, beside those that every task needs."""
    enqueue: Callable[[Any, Any, Any, TokenRequest], str]
    """Hands a prompt over; given the module, the `LLM`, the prompt and its request. Returns vLLM's
    name of it."""
    answer: Callable[[Any, TokenRequest], Answer]
    """Reads one finished output."""
    refused: Callable[[str], Answer]
    """The answer to a request that cannot be answered; given the reason."""


def _enqueue(vllm: Any, llm: Any, prompt: Any, request: TokenRequest) -> str:
    parameters = vllm.SamplingParams(
        max_tokens=1,
        temperature=0.0,
        logprob_token_ids=list(request.token_ids),
        detokenize=False,
    )
    (name,) = llm.enqueue(prompt, parameters, use_tqdm=False)
    return str(name)


def _answer(output: Any, request: TokenRequest) -> TokenAnswer:
    completion = output.outputs[0]
    if completion.finish_reason == "error" or not completion.logprobs:
        return TokenAnswer.refused(
            f"vLLM gave no answer (finish reason {completion.finish_reason})"
        )
    found = completion.logprobs[0]
    missing = [token for token in request.token_ids if token not in found]
    if missing:
        return TokenAnswer.refused(f"vLLM left out the tokens {missing}")
    return TokenAnswer(
        tuple(found[token].logprob for token in request.token_ids),
        len(output.prompt_token_ids),
        output.num_cached_tokens or 0,
    )


TOKENS: VllmTask[TokenAnswer] = VllmTask({}, _enqueue, _answer, TokenAnswer.refused)
"""Log-probabilities of chosen next tokens."""
