"""Folders of images come in once, bad files become rejections."""

import shutil

import pytest
from PIL import Image

from data_store.image_import import add_images, read_groups
from data_store.index import query
from data_store.layout import create_store
from schemas.errors import InputError, MosFileError


def rejections(store):
    rows = query(store, "select path, stage, reason from rejections order by path").to_pylist()
    return [(row["path"].rpartition("/")[2], row["stage"], row["reason"]) for row in rows]


def test_adding_a_folder_twice_adds_nothing_the_second_time(store, image_folder):
    first = add_images(store, image_folder)
    assert (first.added, first.unchanged, first.rejected) == (12, 0, 0)
    shards = list(store.shard_paths())
    second = add_images(store, image_folder)
    assert (second.added, second.unchanged, second.rejected) == (0, 12, 0)
    assert list(store.shard_paths()) == shards


def test_the_same_bytes_under_two_names_are_one_image_in_two_files(store, image_folder):
    shutil.copy(image_folder / "image_00.png", image_folder / "copy.png")
    assert add_images(store, image_folder).added == 13
    assert query(store, "from images").num_rows == 12
    assert query(store, "from image_files").num_rows == 13


def test_an_edited_file_is_a_new_image_and_a_renamed_one_is_not(store, image_folder):
    add_images(store, image_folder)
    Image.new("RGB", (9, 9), "green").save(image_folder / "image_00.png")
    (image_folder / "image_01.png").rename(image_folder / "renamed.png")
    assert add_images(store, image_folder).added == 2
    assert query(store, "from images").num_rows == 13


def test_bad_files_become_rejections_once_and_stop_nobody(store, image_folder):
    (image_folder / "empty.png").touch()
    (image_folder / "text.jpg").write_text("not an image")
    Image.new("1", (20_000, 20_000)).save(image_folder / "bomb.png")
    whole = (image_folder / "image_00.png").read_bytes()
    (image_folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (image_folder / "notes.txt").write_text("ignored, by its name")
    for _ in range(2):
        assert add_images(store, image_folder).rejected == 4
    assert rejections(store) == [
        ("bomb.png", "add-images", "too_large"),
        ("cut.png", "add-images", "truncated"),
        ("empty.png", "add-images", "empty"),
        ("text.jpg", "add-images", "not_an_image"),
    ]
    assert query(store, "from images").num_rows == 12


def test_an_empty_and_a_missing_folder_are_refused_by_name(store, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image file"):
        add_images(store, tmp_path / "empty")
    with pytest.raises(InputError, match="no such folder"):
        add_images(store, tmp_path / "nowhere")


def test_links_in_a_circle_hidden_files_and_the_store_itself_are_passed_over(image_folder):
    (image_folder / "loop").symlink_to(image_folder)
    shutil.copy(image_folder / "image_00.png", image_folder / ".hidden.png")
    store = create_store(image_folder / "store")
    shutil.copy(image_folder / "image_01.png", store.root / "inside.png")
    assert add_images(store, image_folder).added == 12


def test_files_of_one_group_share_a_group_id(store, image_folder, tmp_path):
    listed = "\n".join(f"image_{n:02d}.png,scene {n % 3}" for n in range(11))
    (tmp_path / "groups.csv").write_text(f"image,group\n{listed}\n")
    groups = read_groups(tmp_path / "groups.csv", image_column="image", group_column="group")
    add_images(store, image_folder, groups=groups)
    found = query(store, "select group_id, count(*) as n from images group by all").to_pylist()
    assert sorted(row["n"] for row in found) == [1, 3, 4, 4]  # the one without a group stands alone


def test_groups_given_later_take_over(store, image_folder):
    add_images(store, image_folder)
    add_images(store, image_folder, groups=dict.fromkeys(["image_00.png", "image_01.png"], "g"))
    assert query(store, "select distinct group_id from images").num_rows == 11


def test_an_image_in_two_groups_is_refused(tmp_path):
    (tmp_path / "groups.csv").write_text("image,group\na.png,1\na.png,2\n,3\n")
    with pytest.raises(MosFileError, match=r"line 3: a.png is in group 1 and in 2; line 4"):
        read_groups(tmp_path / "groups.csv", image_column="image", group_column="group")


def test_a_photograph_taken_sideways_has_the_size_that_is_shown(store, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (40, 20)).save(tmp_path / "photos" / "sideways.jpg", exif=exif)
    add_images(store, tmp_path / "photos")
    assert query(store, "select width_px, height_px from images").to_pylist() == [
        {"width_px": 20, "height_px": 40}
    ]
