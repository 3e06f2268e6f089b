"""Images come in once, only what is new or changed is read again, bad files become rejections."""

import os
import shutil
import sys

import pytest
from PIL import Image, ImageFilter

from data_store.images.given_groups import read_groups
from data_store.images.importer import add_images
from data_store.images.writer import ImageWriter, SeenImage
from data_store.index import query
from data_store.layout import create_store
from data_store.rejections import Rejection
from data_store.shards import commit_rows
from schemas.errors import InputError, MosFileError
from schemas.images import IMAGES
from schemas.rows import to_table


def rejections(store):
    rows = query(store, "select path, stage, reason from rejections order by path").to_pylist()
    return [(row["path"].rpartition("/")[2], row["stage"], row["reason"]) for row in rows]


def test_adding_a_folder_twice_adds_nothing_the_second_time(store, image_folder):
    first = add_images(store, image_folder)
    assert (first.added, first.unchanged, first.rejected) == (12, 0, 0)
    shards = list(store.shard_paths())
    second = add_images(store, image_folder)
    assert (second.added, second.unchanged, second.rejected) == (0, 12, 0)
    assert (first.read, second.read) == (12, 0)
    assert list(store.shard_paths()) == shards


def test_a_file_that_was_only_touched_is_read_once_more_and_stays_what_it_was(store, image_folder):
    add_images(store, image_folder)
    before = query(store, "from images order by image_id")
    os.utime(image_folder / "image_03.png", ns=(1, 2_000_000_000_000_000_000))
    touched = add_images(store, image_folder)
    assert (touched.read, touched.added, touched.unchanged) == (1, 0, 12)
    assert add_images(store, image_folder).read == 0
    assert query(store, "from images order by image_id") == before


def test_a_file_is_read_again_when_its_size_or_its_time_changes(store, image_folder):
    path = image_folder / "image_00.png"
    add_images(store, image_folder)
    time = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes() + b" ")
    os.utime(path, ns=(time, time))
    assert add_images(store, image_folder).added == 1
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    os.utime(path, ns=(time, time + 1))
    assert add_images(store, image_folder).added == 1
    assert query(store, "select distinct image_id from image_files").num_rows == 14


def test_rows_of_older_stores_are_read_once_more(store, image_folder):
    add_images(store, image_folder)
    rows = query(store, f"select {', '.join(IMAGES.names)} from image_files").to_pylist()
    old = create_store(store.root.parent / "old")
    for row in rows:
        row |= {"modified_ns": None, "perceptual_hash": None}
    commit_rows(old, "images", to_table(rows, IMAGES), producer="test")
    upgraded = add_images(old, image_folder)
    assert (upgraded.read, upgraded.added, upgraded.unchanged) == (12, 0, 12)
    assert add_images(old, image_folder).read == 0
    assert query(old, "from images where perceptual_hash is null").num_rows == 0


def test_pictures_that_were_not_compared_are_hashed_once_comparing_is_wanted(store, image_folder):
    assert add_images(store, image_folder, look_alike_distance=None).read == 12
    assert add_images(store, image_folder, look_alike_distance=None).read == 0
    assert add_images(store, image_folder).read == 12
    assert add_images(store, image_folder).read == 0
    assert add_images(store, image_folder, look_alike_distance=None).read == 0


def test_what_is_done_is_committed_when_the_run_is_stopped(store, image_folder):
    seen = SeenImage("a" * 64, "/a.png", "a.png", 5, 1, 1, "PNG", "RGB", None, 7, None)
    refused = Rejection("/b.png", "add-images", "empty", "the file is empty")

    def stopped() -> None:
        with ImageWriter(store, None) as writer:
            writer.append(seen)
            writer.append(refused)
            sys.exit(130)

    with pytest.raises(SystemExit):
        stopped()
    assert query(store, "select path from image_files").to_pylist() == [{"path": "/a.png"}]
    assert rejections(store) == [("b.png", "add-images", "empty")]


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


def test_without_comparing_no_pixels_are_decoded(store, image_folder):
    look_alike(image_folder, 0, "cut.jpg")
    whole = (image_folder / "cut.jpg").read_bytes()
    (image_folder / "cut.jpg").write_bytes(whole[: len(whole) * 3 // 4])
    assert add_images(store, image_folder, look_alike_distance=None).rejected == 0
    assert add_images(store, image_folder).rejected == 1


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


def test_groups_given_later_take_over_without_reading_a_file(store, image_folder):
    add_images(store, image_folder)
    given = dict.fromkeys(["image_00.png", "image_01.png"], "g")
    found = add_images(store, image_folder, groups=given)
    assert (found.read, found.regrouped, found.disputed, found.unchanged) == (0, 2, 0, 12)
    assert query(store, "select distinct group_id from images").num_rows == 11
    assert query(store, "from images where grouped_by = 'given'").num_rows == 2
    again = add_images(store, image_folder, groups=given)
    assert (again.regrouped, again.disputed) == (0, 0)


def test_a_group_that_was_given_stands_against_another_one(store, image_folder):
    add_images(store, image_folder, groups={"image_00.png": "first"})
    before = query(store, "select group_id from images order by image_id")
    shutil.copy(image_folder / "image_00.png", image_folder / "copy.png")
    found = add_images(store, image_folder, groups={"image_00.png": "b", "copy.png": "c"})
    assert (found.regrouped, found.disputed) == (0, 2)
    assert query(store, "select group_id from images order by image_id") == before


def look_alike(image_folder, number: int, name: str, **options) -> None:
    with Image.open(image_folder / f"image_{number:02d}.png") as image:
        image.filter(ImageFilter.GaussianBlur(0.5)).save(image_folder / name, **options)


def group_of(store, name: str) -> tuple[str, str]:
    sql = "select group_id, grouped_by from image_files where name = $name"
    (row,) = query(store, sql, {"name": name}).to_pylist()
    return row["group_id"], row["grouped_by"]


def test_look_alikes_share_a_group_and_a_later_one_joins_it(store, image_folder):
    look_alike(image_folder, 0, "a.jpg", quality=60)
    first = add_images(store, image_folder)
    assert (first.groups, first.largest_group, first.bridges) == (12, 2, 0)
    assert {group_of(store, name)[1] for name in ("a.jpg", "image_00.png")} == {
        "look_alike",
        "alone",
    }
    before = group_of(store, "image_00.png")
    look_alike(image_folder, 0, "b.webp", quality=50)
    look_alike(image_folder, 1, "c.jpg", quality=50)
    second = add_images(store, image_folder)
    assert (second.groups, second.largest_group) == (12, 3)
    assert group_of(store, "image_00.png") == before
    assert group_of(store, "b.webp") == (before[0], "look_alike")
    assert group_of(store, "c.jpg") == (group_of(store, "image_01.png")[0], "look_alike")


def test_a_look_alike_takes_a_given_group_and_a_copy_that_of_its_content(store, image_folder):
    add_images(store, image_folder, groups={"image_00.png": "scene"})
    look_alike(image_folder, 0, "a.jpg", quality=60)
    shutil.copy(image_folder / "image_00.png", image_folder / "copy.png")
    add_images(store, image_folder)
    scene = group_of(store, "image_00.png")[0]
    assert group_of(store, "a.jpg") == (scene, "look_alike")
    assert group_of(store, "copy.png") == (scene, "given")


def test_look_alikes_in_two_given_groups_stay_apart_and_are_counted(store, image_folder):
    look_alike(image_folder, 0, "a.png")
    found = add_images(store, image_folder, groups={"image_00.png": "one", "a.png": "two"})
    assert (found.groups, found.bridges) == (12 + 1, 2)
    look_alike(image_folder, 0, "b.jpg", quality=60)
    assert add_images(store, image_folder).bridges == 1


def test_look_alikes_that_are_left_behind_by_a_given_group_are_counted(store, image_folder):
    look_alike(image_folder, 0, "a.png")
    add_images(store, image_folder)
    found = add_images(store, image_folder, groups={"image_00.png": "one"})
    assert (found.regrouped, found.bridges) == (1, 1)


def test_pictures_of_one_colour_stand_alone(store, image_folder):
    for number in range(5):
        Image.new("RGB", (30, 30 + number), "navy").save(image_folder / f"flat_{number}.png")
    found = add_images(store, image_folder)
    assert (found.groups, found.largest_group) == (17, 1)
    flat = query(store, "from images where perceptual_hash = '0000000000000000'")
    assert flat.num_rows == 5


def test_what_one_run_adds_in_two_shards_is_grouped_as_by_two_runs(store, image_folder):
    look_alike(image_folder, 0, "zz.png")
    with ImageWriter(store, 6) as writer:
        for path in sorted(image_folder.iterdir()):
            hashed = create_store(store.root.parent / "other")
            add_images(hashed, path)
            (row,) = query(hashed, "from image_files where path = $p", {"p": str(path)}).to_pylist()
            writer.append(SeenImage(**{k: row[k] for k in SeenImage._fields if k in row},
                                    given_group=None))  # fmt: skip
            if path.name == "image_11.png":
                writer._commit()
    assert group_of(store, "zz.png") == (group_of(store, "image_00.png")[0], "look_alike")


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
