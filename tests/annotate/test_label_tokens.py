"""Labels are found where they are one token, and refused where they are not."""

import math

import pytest

from annotate.label_tokens import label_logprobs, label_token_ids
from annotate.prompts import Label, Prompt
from schemas.errors import EngineFailed, LabelTokenError


def prompt(*labels: tuple[str, ...]) -> Prompt:
    return Prompt(
        kind="point",
        parts=("{image}", "?"),
        stem="It is",
        labels=tuple(Label(name=spellings[0].strip(), spellings=spellings) for spellings in labels),
    )


def splitting(pieces: dict[str, int]):
    """A greedy longest-match tokenizer over `pieces`; letters it lacks become their code."""

    def encode(text: str) -> list[int]:
        ids = []
        while text:
            piece = max((p for p in pieces if text.startswith(p)), key=len, default=text[0])
            ids.append(pieces[piece] if piece in pieces else 1000 + ord(piece))
            text = text[len(piece) :]
        return ids

    return encode


def test_all_spellings_that_are_one_token_count():
    encode = splitting({" good": 1, " Good": 2, " poor": 3, " ex": 4, "cellent": 5})
    found = label_token_ids(prompt((" good", " Good"), (" poor", " Poor")), "It is", encode)
    assert found == ((1, 2), (3,))


def test_a_word_that_splits_in_two_is_named_with_its_spellings():
    encode = splitting({" good": 1, " ex": 4, "cellent": 5})
    with pytest.raises(LabelTokenError, match=r"no spelling of 'excellent' \[' excellent'\]"):
        label_token_ids(prompt((" good",), (" excellent",)), "It is", encode)


def test_labels_that_share_a_token_are_refused():
    encode = splitting({" good": 7, " fine": 7})
    with pytest.raises(LabelTokenError, match="'fine' and 'good' are the same token 7"):
        label_token_ids(prompt((" good",), (" fine",)), "It is", encode)


def test_a_word_that_melts_into_the_stem_is_not_taken():
    encode = splitting({"It is good": 1, " bad": 2, "It is": 3, " good": 4})
    with pytest.raises(LabelTokenError, match="no spelling of 'good'"):
        label_token_ids(prompt((" good",), (" bad",)), "It is", encode)


def test_spellings_are_added_as_probabilities():
    found = label_logprobs({1: math.log(0.2), 2: math.log(0.3), 3: math.log(0.1)}, ((1, 2), (3,)))
    assert found == pytest.approx([math.log(0.5), math.log(0.1)])


def test_a_token_the_engine_left_out_is_an_error_and_never_invented():
    with pytest.raises(EngineFailed, match=r"no log-probability for the tokens \[3\]"):
        label_logprobs({1: -1.0}, ((1,), (3,)))
