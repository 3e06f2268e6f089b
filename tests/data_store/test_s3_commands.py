"""The commands take s3:// wherever they take the folder of a store."""

import json
import re
import shlex
import shutil

import numpy as np
import pytest

from data_store.images.importer import add_images
from data_store.index import query
from data_store.layout import create_store, open_store
from data_store.shards import commit_rows
from schemas.mos import MOS
from schemas.points import POINTS
from schemas.rows import to_table
from tests.data_store.rows import PROMPT, TEACHER
from tests.data_store.s3_server import REPOSITORY
from train.training_data import read_training_data


@pytest.fixture
def address(bucket):
    return f"s3://{bucket}/store"


def test_the_commands_of_the_page_work(
    bucket, address, image_folder, tmp_path, cli_here, monkeypatch
):
    page = (REPOSITORY / "docs" / "stores-on-s3.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    image_folder.rename(tmp_path / "photographs")
    (tmp_path / "scores.csv").write_text("image,mos\nimage_00.png,1.5\nimage_01.png,4\n")
    monkeypatch.chdir(tmp_path)
    said = [
        cli_here(*shlex.split(line.replace("s3://my-bucket/my.store", address)))
        for line in block.splitlines()
    ]
    assert address in said[0].stderr
    assert "image_01.png" in said[3].stdout
    store = open_store(address)
    assert query(store, "from images").num_rows == 12
    assert query(store, "from mos").num_rows == 2
    done = add_images(store, tmp_path / "photographs")
    assert (done.added, done.unchanged) == (0, 12)


def test_status_names_what_a_store_on_s3_holds(address, image_folder, cli):
    add_images(create_store(address), image_folder)
    found = cli("store", "status", "--json", env={"LEAF_STORE": f"{address}/"}).stdout
    assert {"table_name": "images", "rows": 12}.items() <= json.loads(found)["tables"][0].items()


def test_a_store_is_verified_and_compacted_on_s3(address, image_folder, tmp_path, cli_here):
    store = create_store(address)
    for image in sorted(image_folder.iterdir()):
        (tmp_path / image.stem).mkdir()
        image.rename(tmp_path / image.stem / image.name)
        add_images(store, tmp_path / image.stem)
    before = query(store, "select * exclude (shard) from image_files order by path")
    cli_here("store", "compact", "--store", address)
    assert "0 damaged" in cli_here("store", "verify", "--store", address).stderr
    assert len(store.shards()) == 1
    after = query(store, "select * exclude (shard) from image_files order by path")
    assert after.equals(before)


def test_damage_on_s3_is_found_and_put_right_or_taken_out_of_the_way(
    address, s3_server, image_folder, cli_here
):
    store = create_store(address)
    add_images(store, image_folder)
    (shard,) = store.shards()
    there = f"{address.removeprefix('s3://')}/{shard.name}"
    query(store, "from images")  # so that this machine has a copy
    s3_server.request("PUT", there, b"other bytes")
    assert shard.name in cli_here("store", "verify", "--store", address, code=2).stdout
    cli_here("store", "verify", "--repair", "--store", address)
    assert query(store, "from images").num_rows == 12
    s3_server.request("PUT", there, b"other bytes")
    shutil.rmtree(store.root)
    cli_here("store", "verify", "--repair", "--store", address)
    assert store.shards() == []
    assert add_images(store, image_folder).added == 12


def evidence(store, image_folder):
    add_images(store, image_folder)
    ids = query(store, "select image_id from images order by image_id")["image_id"].to_pylist()
    points = [
        {
            "image_id": image_id,
            "teacher_id": TEACHER,
            "prompt_id": PROMPT,
            "level_logprobs": [-3.0, -2.0, -1.0 - number / 12, -2.0, -3.0],
            "given_score": None,
            "given_confidence": None,
            "prompt_tokens": 30,
            "cached_tokens": 0,
        }
        for number, image_id in enumerate(ids)
    ]
    commit_rows(store, "points", to_table(points, POINTS), producer="test", teacher_id=TEACHER)
    mos = {"source": "people", "scale_min": 1, "scale_max": 5, "mos_std": None}
    scores = [
        {**mos, "image_id": image_id, "mos": 3.5, "rating_count": None} for image_id in ids[:4]
    ]
    commit_rows(store, "mos", to_table(scores, MOS), producer="test")


def test_the_trainer_reads_the_same_from_s3_as_from_a_folder(address, image_folder, store):
    remote = create_store(address)
    for one in (store, remote):
        evidence(one, image_folder)
    here, there = (read_training_data(one, TEACHER) for one in (store, open_store(address)))
    assert there.content_hashes() == here.content_hashes()
    assert there.paths.to_pylist() == here.paths.to_pylist()
    assert np.isfinite(there.mos).sum() == 4


@pytest.mark.slow
def test_a_teacher_writes_to_s3_and_asks_only_what_is_missing(address, image_folder, cli, cli_here):
    asked = ("annotate", "points", "--model", "tiny", "--engine", "transformers", "--json")
    where = ("--images", image_folder, "--store", address)
    first = json.loads(cli(*asked, *where, "--limit", "5").stdout)
    rest = json.loads(cli_here(*asked, *where).stdout)
    assert (first["answered"], rest["answered"]) == (5, 7)
    assert query(open_store(address), "from points").num_rows == 12
