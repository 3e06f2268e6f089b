"""Folders, patterns, lists, tars and Parquet files all come down to one list of images."""

import io
import json
import os
import random
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_store.images.importer import add_images
from data_store.images.in_parquet import ImageColumns
from data_store.images.pictures import open_rgb
from data_store.images.sources import find_images, list_images
from data_store.images.stored import read_image
from data_store.index import query
from data_store.layout import create_store
from schemas.errors import ImageError, InputError
from tests.conftest import picture


def png(number: int) -> bytes:
    stream = io.BytesIO()
    picture(number).save(stream, "PNG")
    return stream.getvalue()


def write_tar(path, members):
    """A tar of (name, bytes) in this order; bytes None makes a link to the name before."""
    with tarfile.open(path, "w") as tar:
        before = ""
        for name, data in members:
            member = tarfile.TarInfo(name)
            if data is None:
                member.type, member.linkname = tarfile.LNKTYPE, before
            else:
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data or b""))
            before = name
    return path


def write_parquet(path, columns, **options):
    pq.write_table(pa.table(columns), path, **options)
    return path


def names(*words, **options):
    return sorted(list_images(find_images(words, **options)).images["name"].to_pylist())


def rejected(store):
    rows = query(store, "select path, reason from rejections order by all").to_pylist()
    return [(row["path"].rpartition("/")[2], row["reason"]) for row in rows]


@contextmanager
def as_nobody():
    """Root may read everything; this needs a user who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_pattern_finds_what_the_shell_would(image_folder):
    (image_folder / "deep" / "deeper").mkdir(parents=True)
    (image_folder / "deep" / "one.png").write_bytes(png(20))
    (image_folder / "deep" / "deeper" / "two.png").write_bytes(png(21))
    (image_folder / "deep" / ".hidden.png").write_bytes(png(22))
    assert names(image_folder / "image_0[0-2].png") == [f"image_0{n}.png" for n in range(3)]
    assert names(image_folder / "*" / "*.png") == ["deep/one.png"]
    assert names(image_folder / "**" / "[ot]*.png") == ["deep/deeper/two.png", "deep/one.png"]
    assert names(image_folder / "d*") == ["deep/deeper/two.png", "deep/one.png"]
    assert len(names(image_folder / "**")) == 14
    with pytest.raises(InputError, match="no image matches"):
        names(image_folder / "*.jpg")


def test_a_pattern_does_not_follow_links_round_in_a_circle(image_folder):
    (image_folder / "loop").symlink_to(image_folder)
    (image_folder / "self.png").symlink_to(image_folder / "self.png")
    found = list_images(find_images([image_folder / "**" / "*.png"]))
    assert found.images.num_rows == 12
    assert [problem.reason for problem in found.problems] == ["unreadable"]
    with pytest.raises(InputError, match="no image matches"):
        find_images([image_folder / "*" / "*.png"])


def test_a_folder_whose_name_looks_like_a_pattern_is_a_folder(tmp_path):
    (tmp_path / "photos [2020]").mkdir()
    (tmp_path / "photos [2020]" / "a.png").write_bytes(png(0))
    assert names(tmp_path / "photos [2020]") == ["a.png"]


def test_a_list_names_images_folders_and_containers(tmp_path, image_folder, store):
    write_tar(tmp_path / "some.tar", [("t.png", png(30))])
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "up.txt").write_text("../images/image_00.png\r\n")
    lines = ["images/image_00.png", str(image_folder / "image_01.png"), "", "some.tar", "gone.png"]
    (tmp_path / "list.txt").write_text("\n".join(lines), encoding="utf-8-sig")
    (tmp_path / "list").write_text("images\n")
    assert add_images(store, tmp_path / "list.txt").added == 3
    assert rejected(store) == [("gone.png", "unreadable")]
    found = query(store, "select name from image_files order by name")["name"].to_pylist()
    assert found == ["images/image_00.png", "images/image_01.png", "t.png"]
    assert len(names(lists=[tmp_path / "list"])) == 12
    assert add_images(store, tmp_path / "lists" / "up.txt").unchanged == 1


def test_one_image_can_be_given_and_the_same_one_twice_counts_once(store, image_folder):
    one = image_folder / "image_00.png"
    assert add_images(store, one).added == 1
    again = add_images(store, find_images([one, image_folder, image_folder / "*.png"]))
    assert (again.added, again.unchanged) == (11, 1)


def test_what_is_no_source_of_images_is_refused_by_name(tmp_path):
    (tmp_path / "notes.doc").write_text("no")
    (tmp_path / "photos.tar.gz").write_bytes(b"\x1f\x8b")
    for word, said in (
        ("notes.doc", "no folder, image, tar"),
        ("photos.tar.gz", "compressed"),
        ("nowhere", "no such folder or file"),
    ):
        with pytest.raises(InputError, match=said) as refused:
            find_images([tmp_path / word])
        assert word in refused.value.where


def test_names_with_spaces_and_in_any_script_come_in_and_can_be_read(store, tmp_path):
    folder = tmp_path / "My photos :: 2020"
    folder.mkdir()
    wanted = ["a b.png", "naïve 写真 🙂.png", "x" * 251 + ".png", "100%'\"quoted.png"]
    for number, name in enumerate(wanted):
        (folder / name).write_bytes(png(number))
    assert add_images(store, folder).added == 4
    stored = query(store, "select name, path from image_files").to_pylist()
    assert sorted(row["name"] for row in stored) == sorted(wanted)
    assert all(read_image(row["path"]) for row in stored)
    assert add_images(store, folder).read == 0


def test_a_name_that_is_no_utf8_is_rejected_and_stops_nobody(store, image_folder):
    (image_folder / os.fsdecode(b"caf\xe9.png")).write_bytes(png(0))
    write_tar(image_folder / "t.tar", [(os.fsdecode(b"caf\xe9.png"), png(50)), ("b.png", png(51))])
    found = add_images(store, find_images([image_folder, image_folder / "t.tar"]))
    assert (found.added, found.rejected) == (13, 2)
    assert rejected(store) == [
        ("caf\\udce9.png", "bad_name"),
        ("t.tar::caf\\udce9.png", "bad_name"),
    ]


def test_pipes_and_broken_links_are_rejected_and_a_link_to_a_file_is_that_file(store, image_folder):
    os.mkfifo(image_folder / "pipe.png")
    (image_folder / "broken.png").symlink_to("nowhere.png")
    (image_folder / "link.png").symlink_to("image_00.png")
    found = add_images(store, image_folder)
    assert (found.added, found.rejected) == (13, 2)
    assert rejected(store) == [("broken.png", "unreadable"), ("pipe.png", "unreadable")]
    assert query(store, "from images").num_rows == 12


def test_what_may_not_be_read_is_rejected_folders_too():
    with tempfile.TemporaryDirectory() as top:  # pytest's own folders are closed to other users
        Path(top).chmod(0o755)
        (Path(top) / "locked").mkdir()
        for name in ("a.png", "b.png", "locked/c.png"):
            Path(top, name).write_bytes(png(0))
        Path(top, "a.png").chmod(0)
        Path(top, "locked").chmod(0)
        with as_nobody():
            found = list_images(find_images([top, f"{top}/**/*.png"]))
            with pytest.raises(InputError, match="cannot be looked at"):
                find_images([f"{top}/locked/*.png"])
            with pytest.raises(ImageError, match="Permission denied"):
                read_image(f"{top}/a.png")
        Path(top, "locked").chmod(0o755)
    assert set(found.images["name"].to_pylist()) == {"a.png", "b.png"}
    assert {(p.where, p.reason) for p in found.problems} == {(f"{top}/locked", "unreadable")}


def test_the_images_of_a_tar_come_in_without_being_unpacked(store, tmp_path):
    members = [("./a.png", png(0)), ("a.txt", b"a dog"), ("b/c.PNG", png(1)), ("._a.png", b"junk")]
    write_tar(tmp_path / "shard-0001.tar", [*members, ("../evil.png", png(2)), ("same.png", None)])
    assert add_images(store, tmp_path / "shard-0001.tar").added == 4
    rows = query(store, "select name, path, image_id from image_files order by name").to_pylist()
    assert [row["name"] for row in rows] == ["../evil.png", "a.png", "b/c.PNG", "same.png"]
    assert rows[0]["path"] == f"{tmp_path}/shard-0001.tar::../evil.png"
    assert rows[0]["image_id"] == rows[3]["image_id"]
    assert read_image(rows[0]["path"]) == png(2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shard-0001.tar", "store"]
    assert add_images(store, tmp_path / "shard-0001.tar").read == 0


def test_no_path_leads_out_of_a_tar(tmp_path):
    write_tar(tmp_path / "t.tar", [("a.png", png(0))])
    (tmp_path / "secret.png").write_bytes(b"secret")
    for name in ("secret.png", "../secret.png", f"{tmp_path}/secret.png", "/../secret.png", ""):
        with pytest.raises(ImageError) as refused:
            read_image(f"{tmp_path}/t.tar::{name}")
        assert refused.value.reason == "unreadable"


def test_of_several_members_of_one_name_the_last_counts_and_it_is_said(store, tmp_path):
    write_tar(tmp_path / "t.tar", [("a.png", png(0)), ("b.png", png(1)), ("a.png", png(2))])
    assert add_images(store, tmp_path / "t.tar").added == 2
    assert read_image(f"{tmp_path}/t.tar::a.png") == png(2)
    assert rejected(store) == [("t.tar::a.png", "repeated_name")]


@pytest.mark.parametrize("damage", ["cut", "scribbled"])
def test_of_a_damaged_tar_what_stands_before_the_damage_comes_in(store, tmp_path, damage):
    whole = bytearray(write_tar(tmp_path / "t.tar", [(f"{n}.png", png(n)) for n in range(4)])
                      .read_bytes())  # fmt: skip
    third = whole.index(b"2.png")
    if damage == "cut":
        del whole[third + 700 :]
    else:
        whole[third : third + 20] = b"scribbled over      "
    (tmp_path / "t.tar").write_bytes(whole)
    assert add_images(store, tmp_path / "t.tar").added == 2
    assert ("t.tar", "bad_container") in rejected(store)


def test_a_tar_that_is_none_is_refused_alone_and_rejected_among_others(store, image_folder):
    (image_folder / "t.tar").write_text("not a tar")
    (image_folder / "c.tar").write_bytes(b"\x1f\x8b\x08compressed")
    with pytest.raises(InputError, match="damaged"):
        add_images(store, image_folder / "t.tar")
    with pytest.raises(InputError, match="compressed"):
        add_images(store, image_folder / "c.tar")
    assert add_images(store, image_folder / "*").added == 12
    assert rejected(store) == [("c.tar", "bad_container"), ("t.tar", "bad_container")]


def test_a_hugging_face_table_needs_no_options(store, tmp_path):
    images = [
        {"bytes": png(0), "path": "cat.png"},
        {"bytes": png(1), "path": None},
        {"bytes": None, "path": "elsewhere.png"},
        None,
        {"bytes": b"", "path": "empty.png"},
        {"bytes": b"no image", "path": "text.png"},
    ]
    write_parquet(tmp_path / "t.parquet", {"label": [0] * 6, "image": images}, row_group_size=2)
    found = add_images(store, tmp_path / "t.parquet")
    assert (found.added, found.rejected) == (2, 4)
    rows = query(store, "select name, path from image_files order by path").to_pylist()
    assert [row["name"] for row in rows] == ["cat.png", "t.parquet/1"]
    assert [row["path"].rpartition("::")[2] for row in rows] == ["image/0", "image/1"]
    assert read_image(rows[1]["path"]) == png(1)
    assert rejected(store) == [
        ("2", "empty"),
        ("3", "empty"),
        ("4", "empty"),
        ("5", "not_an_image"),
    ]
    assert add_images(store, tmp_path / "t.parquet").read == 4  # only the rejected ones again


def test_the_columns_of_a_table_can_be_named(store, tmp_path):
    columns = {"small": [png(0), png(1)], "large": [png(2), png(3)], "id": [7, 8]}
    path = write_parquet(tmp_path / "t.parquet", columns)
    with pytest.raises(InputError, match="2 columns could hold images") as refused:
        find_images([path])
    assert "small, large" in refused.value.fix
    with pytest.raises(InputError, match="column id holds no image bytes"):
        find_images([path], columns=ImageColumns("id"))
    with pytest.raises(InputError, match="no column title"):
        find_images([path], columns=ImageColumns("small", "title"))
    add_images(store, find_images([path], columns=ImageColumns("large", "id")))
    assert query(store, "select name from images order by name")["name"].to_pylist() == ["7", "8"]


def test_a_table_without_image_bytes_is_refused_and_a_damaged_one_too(tmp_path):
    path = write_parquet(tmp_path / "t.parquet", {"label": ["cat"]})
    with pytest.raises(InputError, match="no columns could hold images"):
        find_images([path])
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="cannot be read"):
        find_images([path])


def test_a_changed_container_is_read_again(store, tmp_path):
    path = write_tar(tmp_path / "t.tar", [("a.png", png(0)), ("b.png", png(1))])
    add_images(store, path)
    write_tar(path, [("new.png", png(2)), ("a.png", png(0)), ("b.png", png(3))])
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    found = add_images(store, path)
    assert (found.read, found.added, found.unchanged) == (3, 2, 1)
    assert read_image(f"{path}::b.png") == png(3)


def test_rows_of_a_table_can_be_read_in_any_order(tmp_path):
    data = [png(n) * (1 + n % 3) for n in range(40)]
    path = write_parquet(tmp_path / "t.parquet", {"image": data}, row_group_size=7)
    for row in (39, 0, 38, 1, 13, 14, 6, 7, 5, 20):
        assert read_image(f"{path}::image/{row}") == data[row]
    for place in ("image/40", "image/-1", "image/x", "other/0", "image", "/0"):
        with pytest.raises(ImageError) as refused:
            read_image(f"{path}::{place}")
        assert refused.value.reason == "unreadable"


def test_many_threads_may_read_from_containers_at_once(tmp_path):
    data = [png(n) for n in range(30)]
    tar = write_tar(tmp_path / "t.tar", [(f"{n}.png", item) for n, item in enumerate(data)])
    table = write_parquet(tmp_path / "t.parquet", {"image": data}, row_group_size=8)
    wanted = [(f"{tar}::{n}.png", n) for n in range(30)]
    wanted += [(f"{table}::image/{n}", n) for n in range(30)]
    random.Random(0).shuffle(wanted)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda item: read_image(item[0]) == data[item[1]], wanted))
    assert all(found)


def test_the_teacher_and_the_trainer_can_open_what_is_in_a_container(store, tmp_path):
    add_images(store, write_tar(tmp_path / "t.tar", [("a.png", png(0))]))
    (path,) = query(store, "select path from images")["path"].to_pylist()
    assert open_rgb(path).tobytes() == picture(0).tobytes()


def test_a_container_that_went_away_is_an_image_that_cannot_be_read(store, tmp_path):
    path = write_tar(tmp_path / "t.tar", [("a.png", png(0))])
    path.unlink()
    with pytest.raises(ImageError, match="No such file") as refused:
        read_image(f"{path}::a.png")
    assert refused.value.reason == "unreadable"


def test_a_store_inside_a_folder_is_no_part_of_a_pattern_either(image_folder):
    store = create_store(image_folder / "store")
    (store.root / "inside.png").write_bytes(png(0))
    words = [f"{image_folder}/**/*.png", f"{image_folder}/*", image_folder]
    parts = find_images(words, without=store.root)
    assert add_images(store, parts).added == 12


def test_the_command_takes_words_lists_and_columns(tmp_path, image_folder, cli):
    table = write_parquet(tmp_path / "t.parquet", {"a": [png(40)], "b": [png(41)], "id": ["x.png"]})
    tar = write_tar(tmp_path / "t.tar", [("b.png", png(42))])
    (tmp_path / "more").write_text("images/image_05.png\n")
    words = (f"{image_folder}/image_0[0-3].png", table, tar, "--list", tmp_path / "more")
    options = ("--bytes-column", "b", "--name-column", "id", "--store", tmp_path / "store")
    done = cli("store", "add-images", *words, *options, "--json")
    found = json.loads(done.stdout)
    assert {key: found[key] for key in ("added", "rejected", "groups", "largest_group")} == {
        "added": 7,
        "rejected": 0,
        "groups": 7,
        "largest_group": 1,
    }
    assert "7 groups in the store" in done.stderr
    nothing = cli("store", "add-images", "--store", tmp_path / "store", code=2)
    assert "no image" in nothing.stderr
