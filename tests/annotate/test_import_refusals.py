"""What is wrong with an outside file is said by line, and then nothing of it is stored."""

import numpy as np
import pytest

from annotate.importing.column_map import Values, column_map
from annotate.importing.evidence import LN_ZERO, log_probs
from annotate.importing.request import ImportRequest
from annotate.importing.story import import_judgements
from schemas.errors import InputError, MosFileError
from tests.annotate.outside import PAIRS, POINTS, bring_text, rows_in
from tests.data_store.named_images import know_images, store_with_names


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """One store for all files that are refused: nothing of them may stay in it."""
    names = [f"{name}.png" for name in "abcdef"]
    store = store_with_names(tmp_path_factory.mktemp("untouched") / "store", names)
    yield store
    assert sum(rows_in(store).values()) == 0
    assert not store.teachers()


REFUSED_POINTS = {
    "image,good,poor\na.png,x,0\nb.png,,0\n": "line 2: good is 'x', not a number; line 3: good",
    "image,good,poor\n,1,0\n": "line 2: image is empty",
    "image,good,poor\na.png,nan,0\n": "good is 'nan', not a number",
    "image,good,poor\na.png,inf,0\n": "good is 'inf', not a number",
    "image,good,poor\na.png,-inf,0\n": "a.png has a logit that is infinite",
    "image,good,poor\na.png,1e999,0\n": "good is '1e999', not a number",
    "image,good,poor\na.png,true,0\n": "good is 'true', not a number",
    "image,good,poor\na.png,1,20000\n": "a.png has logits more than 10000 apart",
    "image,good,poor\na.png,1,0\na.png,1,0\n": "line 3: a.png stands twice",
    "image,good,poor\na.png,1,0\nA,1,1\n": "A has the same bytes as an image that is judged",
    "image,good,poor\n": "there is no row below the header",
    "image,good,poor\nz.png,1,0\n": "no row fits an image of the store; the file names z.png",
    "image,god,poor\na.png,1,0\n": r"no column good \(did you mean god\?\)",
    "image,good,poor\na.png,1,0,9\n": "has more cells than the header",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED_POINTS)
def test_wrong_rows_are_named_and_nothing_is_written(untouched, tmp_path, text):
    with pytest.raises(MosFileError, match=REFUSED_POINTS[text]) as found:
        bring_text(untouched, tmp_path, text, *POINTS, values="logits")
    assert str(tmp_path) in found.value.where


@pytest.mark.parametrize(
    ("values", "cells", "said"),
    [
        ("probs", "0.7,0.7", "add up to more than 1"),
        ("probs", "1.2,0", "outside 0 to 1"),
        ("probs", "0,0", "gives no probability to any"),
        ("logprobs", "0.5,-1", "above 0; if these are logits, say --values logits"),
        ("logprobs", "-20000,-1", "below -10000"),
        ("logprobs", "-inf,-inf", "gives no probability to any"),
        ("logprobs", "-0.1,-0.1", "add up to more than 1"),
    ],
)
def test_numbers_that_cannot_be_what_they_are_said_to_be_are_refused(
    untouched, tmp_path, values, cells, said
):
    with pytest.raises(MosFileError, match=said):
        bring_text(untouched, tmp_path, f"image,good,poor\na.png,{cells}\n", *POINTS, values=values)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("a.png,a.png,0.5", "a.png and a.png are one image"),
        ("a.png,b.png,1.5", "the preference is outside 0 to 1"),
        ("a.png,b.png,1\nb.png,c.png,1\na.png,b.png,1", "line 4: a.png and b.png stand twice"),
        ("a.png,,1", "image_b is empty"),
    ],
)  # fmt: skip
def test_wrong_pairs_are_named(untouched, tmp_path, cells, said):
    with pytest.raises(MosFileError, match=said):
        bring_text(untouched, tmp_path, f"first,second,p\n{cells}\n", *PAIRS, "preference=p")


def test_an_unclear_winner_and_a_score_off_the_scale_are_refused(untouched, tmp_path):
    with pytest.raises(MosFileError, match=r"the winner of a\.png and b.png is 'c'"):
        bring_text(untouched, tmp_path, "first,second,w\na.png,b.png,c\n", *PAIRS, "winner=w")
    said = ("image=image", "score=s", "confidence=c")
    with pytest.raises(MosFileError, match=r"a.png has a score outside the scale 0 to 10") as found:
        bring_text(untouched, tmp_path, "image,s,c\na.png,11,0\nb.png,1,2\n", *said, scale=(0, 10))
    assert "b.png has a confidence outside 0 to 1" in str(found.value)


def test_names_of_several_images_are_refused(store, tmp_path):
    know_images(store, ["one/a.png", "two/a.png", "b.png"])
    text = "image,good,poor\na.png,1,0\nb.png,1,0\none/a.png,1,0\n"
    with pytest.raises(MosFileError, match=r"line 2: a\.png fits several different images"):
        bring_text(store, tmp_path, text, *POINTS, values="logits")


def test_ten_wrong_rows_are_named_and_all_are_counted(untouched, tmp_path):
    text = "image,good,poor\n" + "a.png,x,0\n" * 1000
    with pytest.raises(MosFileError, match=r"1000 rows are wrong: line 2: .*and 990 more"):
        bring_text(untouched, tmp_path, text, *POINTS, values="logits")


@pytest.mark.parametrize(
    ("said", "values", "problem"),
    [
        (("image=i", "good=g"), "logits", "image, good does not make a judgement"),
        (("image=i", "goood=g", "poor"), None, r"'goood' .* \(did you mean good\?\); 'poor' is"),
        (("image=i", "image=j", "score=s"), None, "image stands twice"),
        (("image=i", "good=g", "poor=p"), None, "--values logits, logprobs or probs"),
        (("image=i", "score=s"), "probs", "--values is for levels"),
        (("image_a=a", "image_b=b", "winner=w", "mos=m"), None, "mos goes with image"),
        (("image=i", "good=g", "poor=p", "confidence=c"), "probs", "confidence goes with score"),
    ],
)  # fmt: skip
def test_columns_that_make_no_judgement_are_refused(said, values, problem):
    with pytest.raises(InputError, match=problem):
        column_map(said, Values(values) if values else None)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"teacher": ""}, "--teacher NAME or --teacher-column"),
        ({"teacher_column": "x"}, "--teacher NAME or --teacher-column"),
        ({"scale": (0, 1)}, "--scale is given, and no column is mapped to score"),
        ({"dataset": "x"}, "--dataset goes with --without-images"),
        ({"without_images": True}, "--without-images takes a name"),
        ({"where": (("a", "1"), ("a", "2"))}, "--where names a column twice"),
    ],
)
def test_requests_that_contradict_themselves_are_refused(untouched, tmp_path, more, problem):
    columns = column_map(POINTS, Values.LOGITS)
    request = ImportRequest((tmp_path / "a.csv",), columns, **({"teacher": "t"} | more))
    with pytest.raises(InputError, match=problem):
        import_judgements(untouched.address, request)


def test_a_zero_probability_is_the_least_number_a_store_takes():
    logs, misfits = log_probs(np.array([[0.0, 1.0]]), Values.PROBS)
    assert logs.tolist() == [[LN_ZERO, 0]]
    assert np.exp(LN_ZERO) == 0
    assert not any(misfit.rows.any() for misfit in misfits)
