"""Labels are found where the tokenizer keeps them apart, and refused where it does not."""

import math

import pytest

from annotate.label_tokens import Codec, LabelTokens, label_logprobs, label_tokens, next_tokens
from annotate.prompts import Label, Prompt
from schemas.errors import LabelTokenError


def prompt(*labels: tuple[str, ...]) -> Prompt:
    return Prompt(
        kind="point",
        parts=("{image}", "?"),
        stem="It is",
        labels=tuple(Label(name=spellings[0].strip(), spellings=spellings) for spellings in labels),
    )


def splitting(pieces: dict[str, int]) -> Codec:
    """A greedy longest-match tokenizer over `pieces`; letters it lacks become their code."""
    words = {number: piece for piece, number in pieces.items()}

    def encode(text):
        ids = []
        while text:
            piece = max((p for p in pieces if text.startswith(p)), key=len, default=text[0])
            ids.append(pieces[piece] if piece in pieces else 1000 + ord(piece))
            text = text[len(piece) :]
        return ids

    return Codec(encode, lambda ids: "".join(words.get(n) or chr(n - 1000) for n in ids))


def found(codec: Codec, *labels: tuple[str, ...]) -> LabelTokens:
    return label_tokens(prompt(*labels), "It is", codec)


def test_all_spellings_that_are_one_token_count_and_longer_ones_do_not():
    codec = splitting({" good": 1, " Good": 2, " poor": 3, " Po": 4, "or": 5})
    assert found(codec, (" good", " Good"), (" poor", " Poor")) == LabelTokens(((1, 2), (3,)), ())


def test_a_label_without_a_single_token_is_read_as_its_shortest_sequences():
    pieces = {
        " good": 1,
        " ex": 4,
        "cellent": 5,
        " Ex": 6,
        " e": 7,
        "xcell": 8,
        "ent": 9,
        " EXC": 2,
    }
    single, sequences = found(
        splitting(pieces), (" good",), (" excellent", " Excellent", " EXCellent")
    )
    assert single == ((1,), ())
    assert sequences == ((), ((4, 5), (6, 5)))  # " EXC", "e", "l", ... is longer


def test_a_word_that_melts_into_the_stem_is_not_taken():
    codec = splitting({"It is good": 1, " bad": 2, "It is": 3, " good": 4})
    with pytest.raises(LabelTokenError, match=r"no spelling of 'good' \[' good'\]"):
        found(codec, (" good",), (" bad",))


def test_a_beginning_that_would_not_come_back_as_its_tokens_is_not_taken():
    # " super" alone is one token, but before "b" the tokenizer splits it otherwise.
    codec = splitting({" good": 1, " superb": 2, " sup": 3, "erb": 4})
    whole = codec.encode

    def encode(text):
        return [n for one in whole(text) for n in ((3, 4) if one == 2 else (one,))]

    again = {"It is sup": [*whole("It is"), 9]}
    fickle = Codec(lambda text: again.get(text) or encode(text), codec.decode)
    assert found(Codec(encode, codec.decode), (" good",), (" superb",)).sequences == ((), ((3, 4),))
    with pytest.raises(LabelTokenError, match="no spelling of 'superb'"):
        found(fickle, (" good",), (" superb",))


def test_labels_that_share_a_token_are_refused():
    codec = splitting({" good": 7, " fine": 7})
    with pytest.raises(LabelTokenError, match=r"'fine' and 'good' are the same tokens \[7\]"):
        found(codec, (" good",), (" fine",))


def test_a_label_that_begins_another_is_refused():
    codec = splitting({" ex": 4, "cellent": 5, " ok": 6})
    with pytest.raises(LabelTokenError, match=r"tokens \[4\] of 'ex' begin \[4, 5\], 'excellent'"):
        found(codec, (" excellent",), (" ex",), (" ok",))


def test_all_problems_are_named_together():
    codec = splitting({"It is good": 1, " bad": 2, " poor": 2, "It is": 3, " good": 4})
    with pytest.raises(LabelTokenError, match=r"'good'.*'poor' and 'bad' are the same tokens"):
        found(codec, (" good",), (" bad",), (" poor",))


def test_one_pass_is_taken_for_each_beginning():
    tokens = LabelTokens(((1,), (), ()), ((), ((4, 5), (6, 5)), ((4, 7, 8),)))
    assert next_tokens(tokens) == {(): (1, 4, 6), (4,): (5, 7), (6,): (5,), (4, 7): (8,)}


def test_spellings_are_added_as_probabilities():
    read = {(): {1: math.log(0.2), 2: math.log(0.3), 3: math.log(0.1)}}
    values = label_logprobs(LabelTokens(((1, 2), (3,)), ()), read)
    assert values == pytest.approx([math.log(0.5), math.log(0.1)])


def test_a_sequence_is_the_product_of_its_steps():
    read = {
        (): {1: math.log(0.2), 4: math.log(0.5), 6: math.log(0.1)},
        (4,): {5: math.log(0.8)},
        (6,): {5: math.log(0.3)},
    }
    values = label_logprobs(LabelTokens(((1,), ()), ((), ((4, 5), (6, 5)))), read)
    assert values == pytest.approx([math.log(0.2), math.log(0.5 * 0.8 + 0.1 * 0.3)])


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_hidden_by_another_spelling(wrong):
    values = label_logprobs(LabelTokens(((1, 2), (3,)), ()), {(): {1: wrong, 2: -1.0, 3: -2.0}})
    assert math.isnan(values[0])
    assert values[1] == pytest.approx(-2.0)
