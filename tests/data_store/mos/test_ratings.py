"""Ratings of single people become MOS in the store, once, whoever exports how often."""

import csv
import json

import numpy as np
import pytest

from data_store.compact import compact
from data_store.index import query
from data_store.mos.campaign import add_ratings
from data_store.mos.ratings import EXPORT_COLUMNS, rating_files, read_ratings
from schemas.errors import MosFileError
from tests.data_store.named_images import know_images

IMAGES = [f"image_{number}.png" for number in range(6)]


@pytest.fixture
def known(store):
    return know_images(store, IMAGES)


def export(path, looks, *, hour=9):
    """(rater, image, rating) as the page writes them."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(EXPORT_COLUMNS)
        for place, (rater, image, rating) in enumerate(looks):
            at = f"2026-11-22T{hour:02d}:00:{place:02d}.000Z"
            writer.writerow([rater, image, image, rating, 1.5, at, "0123456789abcdef", place + 1])
    return path


def stored(store, source="ratings"):
    rows = query(
        store,
        "select name, mos, mos_std, rating_count from mos join images using (image_id)"
        " where source = $source order by name",
        {"source": source},
    )
    return [tuple(row.values()) for row in rows.to_pylist()]


def test_ratings_of_several_people_become_mean_deviation_and_number(known, tmp_path):
    export(tmp_path / "ann.csv", [("Ann", IMAGES[0], 2), ("Ann", IMAGES[1], 5)])
    export(tmp_path / "bo.csv", [("Bo", IMAGES[0], 4), ("Bo", IMAGES[2], "")])
    done = add_ratings(known, [tmp_path])
    assert stored(known) == [
        (IMAGES[0], 3.0, pytest.approx(2**0.5), 2),
        (IMAGES[1], 5.0, None, 1),
    ]
    assert (done.rating_count, done.unrated_count, done.stored.added) == (3, 1, 2)
    assert [(rater.rater, rater.images, rater.mean) for rater in done.raters] == [
        ("Ann", 2, 3.5),
        ("Bo", 1, 4.0),
    ]
    (row,) = query(known, "select mos_unit from mos where mos = 5").to_pylist()
    assert row["mos_unit"] == 1.0


def test_of_the_same_person_and_image_the_latest_rating_counts_whichever_file_it_is_in(tmp_path):
    early = export(tmp_path / "a.csv", [("Ann", "x", 1), ("Ann", "y", 4)], hour=8)
    late = export(tmp_path / "b.csv", [("Ann", "x", 5)], hour=10)
    for paths in ([early, late], [late, early], [early, late, early]):
        found = read_ratings(paths)
        rating = dict(zip(found.images, found.values[0].tolist(), strict=True))
        assert rating == {"x": 5.0, "y": 4.0}
    assert read_ratings([early, late]).replaced_count == 1


def test_somebody_who_could_not_rate_later_takes_the_rating_back(tmp_path):
    early = export(tmp_path / "a.csv", [("Ann", "x", 1)], hour=8)
    late = export(tmp_path / "b.csv", [("Ann", "x", "")], hour=10)
    found = read_ratings([early, late])
    assert np.isnan(found.values).all()
    assert found.unrated_count == 1


def test_a_repeated_export_changes_nothing(known, tmp_path):
    looks = [("Ann", IMAGES[0], 2), ("Bo", IMAGES[0], 3)]
    export(tmp_path / "one.csv", looks)
    add_ratings(known, [tmp_path])
    export(tmp_path / "again.csv", looks)
    done = add_ratings(known, [tmp_path])
    assert (done.stored.added, done.stored.replaced, done.stored.unchanged) == (0, 0, 1)
    assert len(known.shards()) == 2  # images and one of MOS


def test_a_larger_export_stands_for_the_smaller_also_after_compaction(known, tmp_path):
    export(tmp_path / "ann.csv", [("Ann", IMAGES[0], 2), ("Ann", IMAGES[1], 3)])
    add_ratings(known, [tmp_path])
    export(tmp_path / "bo.csv", [("Bo", IMAGES[0], 5)])
    done = add_ratings(known, [tmp_path])
    assert (done.stored.added, done.stored.replaced, done.stored.unchanged) == (0, 1, 1)
    expected = [(IMAGES[0], 3.5, pytest.approx(4.5**0.5), 2), (IMAGES[1], 3.0, None, 1)]
    assert stored(known) == expected
    known.index_path.unlink()
    assert stored(known) == expected
    compact(known)
    assert stored(known) == expected
    export(tmp_path / "cy.csv", [("Cy", IMAGES[0], 5)])
    add_ratings(known, [tmp_path])
    assert stored(known)[0][1:] == (4.0, pytest.approx(3**0.5), 3)
    assert compact(known).rows_dropped == 1
    assert stored(known)[0][1:] == (4.0, pytest.approx(3**0.5), 3)


def test_ratings_of_one_person_do_not_silently_take_the_place_of_another_s(known, tmp_path):
    ann = export(tmp_path / "ann.csv", [("Ann", IMAGES[0], 2)])
    bo = export(tmp_path / "bo.csv", [("Bo", IMAGES[0], 5)])
    add_ratings(known, [ann])
    with pytest.raises(
        MosFileError, match=r"stored with MOS 2.0 of 1 ratings, not 5.0 of 1 ratings"
    ) as refused:
        add_ratings(known, [bo])
    assert "all people together" in refused.value.fix
    assert stored(known) == [(IMAGES[0], 2.0, None, 1)]
    add_ratings(known, [ann, bo])
    assert stored(known)[0][1] == 3.5
    add_ratings(known, [bo], replace="always")
    assert stored(known) == [(IMAGES[0], 5.0, None, 1)]


def test_all_that_is_wrong_is_named_together_and_nothing_is_stored(known, tmp_path):
    path = tmp_path / "wrong.csv"
    path.write_text(
        "rater,image_id,rating,rated_at\n"
        "Ann,image_0.png,6,2026-11-22T09:00:00Z\n"
        ",image_0.png,3,2026-11-22T09:00:00Z\n"
        "Ann,image_1.png,good,yesterday\n"
        "Ann,image_2.png,nan,2026-11-22T09:00:00Z\n"
        "Ann,image_3.png,3,2026-11-22T09:00:00Z\n"
    )
    with pytest.raises(MosFileError) as refused:
        add_ratings(known, [path])
    for said in (
        "line 2: the rating is 6, outside the scale 1 to 5",
        "line 3: the rater is empty",
        "line 4: the rating is 'good', not a number, rated_at is 'yesterday'",
        "line 5: the rating is nan, outside",
        "4 rows are wrong",
    ):
        assert said in refused.value.what
    assert query(known, "from mos").num_rows == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rater,image_id,rating\nAnn,image_0.png,3\n", "no column rated_at"),
        ("rater,image_id,rating,rated_at\n", "there is no rating"),
        ("rater,image_id,rating,rated_at\nAnn,image_0.png,,2026-11-22T09:00:00Z\n", "no rating"),
        ("rater,image_id,rating,rated_at\nAnn,nobody,3,2026-11-22T09:00:00Z\n", "no row fits"),
    ],
)
def test_files_without_ratings_are_refused(known, tmp_path, text, said):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(MosFileError, match=said):
        add_ratings(known, [tmp_path / "a.csv"])


def test_a_folder_without_exports_is_refused(tmp_path):
    with pytest.raises(MosFileError, match=r"holds no .csv"):
        rating_files([tmp_path])


def erratic_campaign(path):
    """Six calm raters and one who is far above here and far below there."""
    calm = (1, 1, 1, 1, 2, 2)
    looks = []
    for place, image in enumerate(IMAGES[:4]):
        for number, rating in enumerate((*calm, 4)):
            name = f"rater {number}" if number < 6 else "Zed"
            looks.append((name, image, rating if place % 2 else 6 - rating))
    return export(path, looks)


def test_whom_bt500_rejects_is_left_out_and_named(known, tmp_path, cli_here):
    path = erratic_campaign(tmp_path / "all.csv")
    words = ("store", "add-mos", path, "--ratings", "--store", known.root)
    done = cli_here(*words, "--json")
    found = json.loads(done.stdout)
    assert "rejects Zed: their ratings are left out" in done.stderr
    (zed,) = [rater for rater in found["raters"] if not rater["used"]]
    assert (zed["rater"], zed["rejected"]) == ("Zed", True)
    assert (zed["far_above"], zed["far_below"]) == (2, 2)
    assert (found["added"], found["rating_count"], found["screen"]) == (4, 24, "bt500")
    assert {row[3] for row in stored(known)} == {6}
    done = cli_here(*words, "--screen", "none", "--source", "everybody")
    assert {row[3] for row in stored(known, "everybody")} == {7}
    assert "the rule of BT.500 rejects Zed: their ratings count" in done.stderr
    assert "rejected" in done.stdout
    assert "Agreement of those who count" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ratings", "--layout", "koniq10k"), "columns of their own"),
        (("--ratings", "--mos-column", "mos"), "columns of their own"),
        (("--ratings", "--screen", "bt501"), "no screening 'bt501'"),
        (("--ratings", "--scale", "5", "1"), "worst value first"),
        (("b.csv", "--scale", "1", "5"), "2 files are given"),
    ],
)
def test_options_that_do_not_go_together_are_refused(known, tmp_path, cli_here, words, said):
    path = export(tmp_path / "a.csv", [("Ann", IMAGES[0], 2)])
    done = cli_here("store", "add-mos", path, *words, "--store", known.root, code=2)
    assert said in done.stderr


def test_a_changed_mos_of_a_score_file_stands_where_that_is_said(known, tmp_path, cli_here):
    path = tmp_path / "mos.csv"
    words = ("store", "add-mos", path, "--scale", "1", "5", "--store", known.root)
    path.write_text("image,mos\nimage_0.png,2\nimage_1.png,2\n")
    cli_here(*words)
    path.write_text("image,mos\nimage_0.png,4\nimage_1.png,2\n")
    assert "--replace" in cli_here(*words, code=2).stderr
    done = cli_here(*words, "--replace", "--json")
    assert {key: json.loads(done.stdout)[key] for key in ("added", "replaced", "unchanged")} == {
        "added": 0, "replaced": 1, "unchanged": 1,
    }  # fmt: skip
    assert [row[:2] for row in stored(known, "mos")] == [(IMAGES[0], 4.0), (IMAGES[1], 2.0)]
    cli_here(*words, "--scale", "1", "10", "--replace")
    assert query(known, "select distinct scale_max from mos").to_pylist() == [{"scale_max": 10.0}]
