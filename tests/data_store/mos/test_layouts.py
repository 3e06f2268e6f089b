"""Published data sets come in by their name: small files in exactly their form, made-up values."""

import inspect
import json
from pathlib import Path

import openpyxl
import pytest

from data_store.commands import mos
from data_store.index import query
from data_store.mos.importer import add_mos
from data_store.mos.layouts import LAYOUTS, find_scores, layout, layout_groups
from data_store.mos.scores import MosColumns, read_scores
from schemas.errors import InputError, MosFileError
from tests.data_store.named_images import know_images

KONIQ = """image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,MOS_zscore
10004.jpg,0.0,0.0,0.25,0.7,0.05,105,3.8,0.527277894494,77.4
10007.jpg,0.0,0.03,0.47,0.49,0.01,96,3.48,0.58,68.7
"""
SPAQ = [
    ("Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"),
    ("00001.jpg", 48.5, 47.4, 55.6, 55.7, 37.9, 42.6),
    ("00002.jpg", 62, 55.4, 67.1, 53.1, 57.5, 47.5),
]
AGIQA = """name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align
AttnGAN_normal_000.jpg,statue of a man,,,,0.96,0.22,0.41,0.62
sd1.5_normal_001.jpg,"a tray, anime style",,,anime style,3.361853219,0.65,0.43,0.67
"""
AIGIQA = [
    ("name", "prompt", "mos"),
    ("DALLE2_0000.png", "a cat, sitting", 3.66),
    ("DALLE2_0002.png", "a girl", 4.17),
]
BIQ_TRAIN = "Image Name,MOS\nss03 (1).jpg,0.7321\n"
BIQ_TEST = "Image Name,MOS\nss01 (2).jpg,0.1931\n"
KADID = "dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,4.57,0.5\nI01_01_02.png,I01.png,4.3,0.9\n"
TID = b"5.51 I01_01_1.bmp\r\n5.57 i01_01_2.bmp\r\n"


def write_xlsx(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    book.close()


@pytest.fixture
def published(tmp_path):
    """One folder per data set, with its files where the data set has them."""
    for name in LAYOUTS:
        (tmp_path / name).mkdir()
    (tmp_path / "koniq10k" / "koniq10k_scores_and_distributions.csv").write_text(KONIQ)
    (tmp_path / "spaq" / "Annotations").mkdir()
    write_xlsx(tmp_path / "spaq" / "Annotations" / "MOS and Image attribute scores.xlsx", SPAQ)
    (tmp_path / "agiqa3k" / "data.csv").write_text(AGIQA)
    write_xlsx(tmp_path / "aigiqa20k" / "info_train.xlsx", AIGIQA)
    (tmp_path / "biq2021" / "Train (Images and MOS).csv").write_text(BIQ_TRAIN)
    (tmp_path / "biq2021" / "Test (Images and MOS).csv").write_text(BIQ_TEST)
    (tmp_path / "kadid10k" / "dmos.csv").write_text(KADID)
    (tmp_path / "tid2013" / "mos_with_names.txt").write_bytes(TID)
    (tmp_path / "tid2013" / "mos_std.txt").write_bytes(b"0.13\r\n0.16\r\n")
    return tmp_path


EXPECTED = {
    "koniq10k": [("10004.jpg", 3.8, 0.527277894494, 105), ("10007.jpg", 3.48, 0.58, 96)],
    "spaq": [("00001.jpg", 48.5, None, None), ("00002.jpg", 62.0, None, None)],
    "agiqa3k": [
        ("AttnGAN_normal_000.jpg", 0.96, 0.22, None),
        ("sd1.5_normal_001.jpg", 3.361853219, 0.65, None),
    ],
    "aigiqa20k": [("DALLE2_0000.png", 3.66, None, None), ("DALLE2_0002.png", 4.17, None, None)],
    "biq2021": [("ss03 (1).jpg", 0.7321, None, None), ("ss01 (2).jpg", 0.1931, None, None)],
    "kadid10k": [("I01_01_01.png", 4.57, 0.5, None), ("I01_01_02.png", 4.3, 0.9, None)],
    "tid2013": [("I01_01_1.bmp", 5.51, None, None), ("i01_01_2.bmp", 5.57, None, None)],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_published_folder_is_read_as_it_was_published(published, name):
    paths, columns = find_scores(layout(name), published / name)
    table, problems = read_scores(paths, columns, layout(name).scale)
    assert problems == []
    found = table.select(["name", "mos", "mos_std", "rating_count"]).to_pylist()
    assert [tuple(row.values()) for row in found] == EXPECTED[name]


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_score_file_itself_does_as_well_whatever_it_is_called(published, name):
    paths, _ = find_scores(layout(name), published / name)
    renamed = paths[0].rename(paths[0].with_stem("scores of mine"))
    again, columns = find_scores(layout(name), renamed)
    table, problems = read_scores(again, columns, layout(name).scale)
    assert (again, problems) == ([renamed], [])
    assert table["name"][0].as_py() == EXPECTED[name][0][0]


def test_the_other_form_of_biq2021_is_known_too(tmp_path):
    (tmp_path / "mos.csv").write_text("image,mos\nss03_10.jpg,0.5624\n")
    for where in (tmp_path, tmp_path / "mos.csv"):
        paths, columns = find_scores(layout("biq2021"), where)
        assert paths == [tmp_path / "mos.csv"]
        assert (columns.image, columns.mos) == ("image", "mos")


def test_problems_in_several_files_say_in_which(published):
    path = published / "biq2021" / "Test (Images and MOS).csv"
    path.write_text("Image Name,MOS\nss01 (2).jpg,-0.0047\n")
    paths, columns = find_scores(layout("biq2021"), published / "biq2021")
    _, (problem,) = read_scores(paths, columns, (0, 1))
    assert problem.text == (
        "Test (Images and MOS).csv, line 2: the MOS of ss01 (2).jpg is -0.0047,"
        " outside the scale 0 to 1"
    )


def test_a_folder_without_the_file_is_refused_and_the_file_named(tmp_path):
    with pytest.raises(MosFileError, match=r"does not hold koniq10k_scores_and_distributions.csv"):
        find_scores(layout("koniq10k"), tmp_path)
    (tmp_path / "Train (Images and MOS).csv").write_text(BIQ_TRAIN)
    with pytest.raises(MosFileError, match=r"hold Train .* with Test .*, or mos.csv"):
        find_scores(layout("biq2021"), tmp_path)


def test_two_candidates_are_refused_and_both_named(published):
    (published / "kadid10k" / "copy").mkdir()
    (published / "kadid10k" / "copy" / "DMOS.CSV").write_text(KADID)
    with pytest.raises(MosFileError, match=r"2 files .*: dmos.csv, copy/DMOS.CSV"):
        find_scores(layout("kadid10k"), published / "kadid10k")


def test_a_missing_place_is_refused(tmp_path, store):
    paths, columns = find_scores(layout("biq2021"), tmp_path / "nowhere")
    with pytest.raises(MosFileError, match="cannot be read"):
        add_mos(store, paths, columns=columns, scale=(0, 1), source="x")


def test_an_unknown_layout_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"no layout koniq-10k; did you mean koniq10k\?"):
        layout("koniq-10k")
    with pytest.raises(InputError, match="choose one of koniq10k, spaq"):
        layout_groups("nothing", [])


def test_images_of_one_reference_share_a_group_and_data_sets_do_not():
    names = {
        "I01.png": "I01",
        "images/I01_01_01.png": "I01",
        "images/I81_25_05.png": "I81",
        "reference_images/I07.BMP": "I07",
        "distorted_images/i07_24_5.bmp": "I07",
        "tid2013.tar::distorted_images/I07_11_1.BMP": "I07",
        "tid2013.tar::i25_11_1.bmp": "I25",
    }
    others = ["images/other.png", "dmos.csv", "I01_01.png", "xI01.png", "I01/1.png"]
    assert layout_groups("tid2013", [*names, *others]) == {
        name: f"tid2013/{group}" for name, group in names.items()
    }
    assert layout_groups("kadid10k", ["I01.png"]) == {"I01.png": "kadid10k/I01"}
    assert layout_groups("koniq10k", names) == {}


def test_every_layout_has_a_right_scale_and_is_named_in_the_help_and_the_guide():
    guide = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8")
    option = inspect.signature(mos.add_mos).parameters["layout"].annotation.__metadata__[0]
    for name, known in LAYOUTS.items():
        assert known.scale[0] < known.scale[1]
        assert name in option.help
        assert f"--layout {name}" in guide
        for form in known.files:
            assert all(file in guide for file in form.names)


@pytest.fixture
def kadid_store(store):
    return know_images(store, ["I01.png", "i01_01_01.PNG"])


def test_a_data_set_comes_in_by_its_name_alone(kadid_store, published, cli):
    done = cli(
        "store", "add-mos", published / "kadid10k", "--layout", "kadid10k",
        "--store", kadid_store.root, "--json",
    )  # fmt: skip
    assert json.loads(done.stdout) == {
        "added": 1, "replaced": 0, "unchanged": 0, "unmatched": ["I01_01_02.png"],
        "by_other_case": 1, "by_other_ending": 0, "images_without_mos": 1,
    }  # fmt: skip
    assert "dmos.csv" in done.stderr
    assert "1 rows fit no image: I01_01_02.png" in done.stderr
    assert "other capitals or accents: 1" in done.stderr
    assert "1 images of the same folders have no MOS" in done.stderr
    rows = query(kadid_store, "select source, mos, mos_unit, mos_std from mos")
    (row,) = rows.to_pylist()
    assert (row["source"], row["mos"], row["mos_std"]) == ("kadid10k", 4.57, 0.5)
    assert row["mos_unit"] == pytest.approx(0.8925)


def test_what_the_layout_says_can_be_said_otherwise(kadid_store, published):
    mos.add_mos(
        [published / "kadid10k" / "dmos.csv"], str(kadid_store.root), layout="kadid10k",
        scale=(0, 10), source="mine", std_column="",
    )  # fmt: skip
    rows = query(kadid_store, "select source, scale_max, mos_std from mos")
    assert rows.to_pylist() == [{"source": "mine", "scale_max": 10.0, "mos_std": None}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layout": "kadid"}, r"did you mean kadid10k\?"),
        ({}, "the scale of the MOS is not known"),
        ({"scale": (5, 1)}, "worst value first"),
        ({"scale": (0, 1), "layout": "kadid10k"}, "outside the scale 0 to 1"),
        ({"scale": (1, 5), "mos_column": "moss"}, "no column image, moss"),
        ({"scale": (1, 5), "image_column": ""}, "no column , mos"),
        ({"layout": "koniq10k"}, "no column image_name"),
        ({"layout": "tid2013"}, "3 rows are wrong"),
    ],
)
def test_wrong_options_are_refused(kadid_store, published, options, said):
    with pytest.raises(InputError, match=said):
        mos.add_mos([published / "kadid10k" / "dmos.csv"], str(kadid_store.root), **options)


def test_columns_are_named_in_the_order_in_which_they_are_read():
    assert MosColumns("a", "b", None, "d").named() == ("a", "b", "d")
