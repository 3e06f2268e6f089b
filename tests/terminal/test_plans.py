"""A dry run says what will be done and does none of it; what it says is what is then done."""

import hashlib
import json
import shutil
from datetime import datetime

import pytest

from data_store.index import query, refresh
from data_store.layout import open_store
from data_store.plans import Figure, Plan, size_of
from data_store.progress import span_of
from tests.conftest import picture

TINY = ("--model", "tiny", "--engine", "transformers", "--executor", "local")

# transformers warns of its own future; that is not what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore")


def bytes_below(folder):
    """Every file with its bytes and its time of change, and every folder."""
    return {
        str(path.relative_to(folder)): (
            (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            if path.is_file()
            else None
        )
        for path in folder.rglob("*")
    }


def planned(cli_here, *words):
    done = cli_here(*words, "--dry-run", "--json")
    assert "nothing was written" in done.stderr
    return json.loads(done.stdout)


def seconds_between(store):
    """From the first shard of points to the last."""
    listed = query(open_store(store), "select created from shards where table_name = 'points'")
    times = sorted(map(datetime.fromisoformat, listed["created"].to_pylist()))
    assert len(times) == 3
    return (times[-1] - times[0]).total_seconds()


def test_points_and_pairs_ask_what_was_planned_and_a_dry_run_writes_nothing(
    tmp_path, image_folder, cli_here
):
    store = tmp_path / "store"
    where = (*TINY, "--store", store, "--images", image_folder)
    first = planned(cli_here, "annotate", "points", *where)
    assert (first["todo"], first["already"], first["images_to_add_first"]) == (12, 0, 12)
    assert first["seconds"] is None
    assert "annotate estimate" in first["seconds_basis"]
    pairs = planned(cli_here, "annotate", "pairs", *where, "--n-pairs", "7")
    assert not store.exists()

    words = ("annotate", "points", *where, "--limit", "9", "--shard-rows", "3", "--json")
    assert planned(cli_here, *words[:-1])["todo"] == 9
    assert json.loads(cli_here(*words).stdout)["asked"] == 9
    picture(99).save(image_folder / "new.png")
    refresh(open_store(store))
    before = bytes_below(store)
    again = planned(cli_here, "annotate", "points", *where)
    assert (again["todo"], again["already"], again["images_to_add_first"]) == (4, 9, 1)
    assert again["seconds"] == pytest.approx(4 / (6 / seconds_between(store)), rel=1e-3)
    assert again["disk_bytes"] > 0
    limited = planned(cli_here, "annotate", "points", *where, "--limit", "3")
    assert limited["todo"] == 3
    assert bytes_below(store) == before
    asked = json.loads(cli_here("annotate", "points", *where, "--json").stdout)
    assert (asked["asked"], asked["already"]) == (again["todo"], again["already"])

    assert pairs["todo"] == 7
    words = ("annotate", "pairs", *where, "--n-pairs", "7")
    assert planned(cli_here, *words)["todo"] == 7
    done = cli_here(*words, "--json")
    assert json.loads(done.stdout)["asked"] == 7
    assert "disk: about" in done.stderr
    assert planned(cli_here, *words)["todo"] == 0


def test_states_and_prompts_are_planned_with_their_faults(own, cli_here, tmp_path):
    where = (*TINY, "--store", own.root)
    plan = planned(cli_here, "annotate", "embed", *where)
    assert (plan["todo"], plan["disk_bytes"]) == (30, None)
    two = ("--prompt", "point", "--prompt", "point-flaws")
    assert planned(cli_here, "annotate", "points", *where, *two)["todo"] == 60
    done = cli_here("annotate", "points", *where, "--prompt", "pair", "--dry-run", code=2)
    assert "this is a pair prompt" in done.stderr
    done = cli_here("annotate", "pairs", *where, "--n-pairs", "9999", "--dry-run", code=2)
    assert "pairs were asked for" in done.stderr


def test_a_store_is_filled_and_kept_as_planned(own, judged, image_folder, cli_here, tmp_path):
    images = ("add-images", image_folder, "--store", own.root)
    before = bytes_below(own.root)
    plan = planned(cli_here, "store", *images)
    assert (plan["todo"], plan["already"]) == (12, 0)
    merge = planned(cli_here, "store", "compact", "--store", own.root)
    assert bytes_below(own.root) == before
    assert json.loads(cli_here("store", *images, "--json").stdout)["added"] == plan["todo"]
    assert planned(cli_here, "store", *images)["todo"] == 0

    shutil.copytree(judged.root, tmp_path / "other")
    done = cli_here("store", "compact", "--store", tmp_path / "other", "--json")
    assert json.loads(done.stdout)["shards_after"] == merge["shards_after"]
    new = ("add-images", image_folder, "--store", tmp_path / "new")
    assert planned(cli_here, "store", *new)["makes_store"]
    assert not (tmp_path / "new").exists()


def test_a_repair_is_shown_before_it_is_done(own, cli_here):
    shard = next(path for table, path in own.shard_paths() if table == "points")
    shard.write_bytes(shard.read_bytes()[:-1])
    before = bytes_below(own.root)
    words = ("store", "verify", "--store", own.root, "--json")
    done = cli_here(*words, "--repair", "--dry-run", code=2)
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["fix"].startswith("--repair would move it to quarantine/")
    assert bytes_below(own.root) == before
    assert "without --repair nothing is changed" in cli_here(*words, "--dry-run", code=2).stderr
    cli_here(*words, "--repair")
    assert not shard.exists()


def test_a_readout_is_applied_as_planned(own, cli_here, tmp_path):
    out = tmp_path / "readout"
    cli_here("annotate", "readout", "fit", "--kind", "ridge_levels", "--store", own.root,
             "--out", out)  # fmt: skip
    refresh(own)
    before = bytes_below(own.root)
    words = ("annotate", "readout", "apply", "--readout", out, "--store", own.root)
    plan = planned(cli_here, *words)
    assert bytes_below(own.root) == before
    assert json.loads(cli_here(*words, "--json").stdout)["added"] == plan["todo"] == 30
    assert planned(cli_here, *words)["already"] == 30


def test_a_run_is_trained_as_planned(own, judged, cli_here, tmp_path):
    quick = ("--config", "configs/quick_test.toml", "--set", "label_fractions=[0.5]",
             "--set", "distil.epochs=1", "--set", "cft_only.epochs=1",
             "--set", "calibrate.epochs=1")  # fmt: skip
    words = ("train", "run", "--store", own.root, "--run", tmp_path / "run", *quick)
    before = bytes_below(own.root)
    plan = planned(cli_here, *words)
    assert plan["epochs"] == {"label_free": 1, "leaf_50": 1, "cft_only_50": 1}
    assert (plan["todo"], plan["seconds"], plan["finished"]) == (3, None, False)
    assert bytes_below(own.root) == before
    assert not (tmp_path / "run").exists()
    done = cli_here(*words)
    assert "to train: label_free 1 epochs, leaf_50 1 epochs" in done.stderr
    stages = sorted(path.name for path in (tmp_path / "run" / "stages").iterdir())
    assert stages == sorted(plan["epochs"])
    size = sum(path.stat().st_size for path in (tmp_path / "run" / "stages").rglob("*.safetensors"))
    assert plan["disk_bytes"] == pytest.approx(size, rel=0.1)

    again = planned(cli_here, *words)
    assert (again["todo"], again["already"], again["finished"]) == (0, 3, True)
    shutil.rmtree(tmp_path / "run" / "stages" / "leaf_50")
    assert planned(cli_here, *words)["seconds"] > 0  # by the epochs that the folder tells of
    other = cli_here(*words, "--set", "seed=7", "--dry-run", code=2)
    assert "seed was 0, is 7" in other.stderr

    images = judged.root.parent / "images"
    scored = ("train", "predict", "--run", tmp_path / "run", "--images", images)
    plan = planned(cli_here, *scored, "--student", "label_free", "--out", tmp_path / "scores.csv")
    assert (plan["todo"], plan["student"]) == (30, "label_free")
    assert not (tmp_path / "scores.csv").exists()
    out = ("--run", tmp_path / "run", "--no-onnx", "--out", tmp_path / "student")
    plan = planned(cli_here, "train", "export", *out)
    assert (plan["student"], plan["replaces"]) == ("cft_only_50", False)
    assert not (tmp_path / "student").exists()
    wrong = cli_here(*scored, "--student", "label_fre", "--out", tmp_path / "s.csv", code=2)
    assert "did you mean label_free?" in wrong.stderr


def test_a_sweep_is_planned_with_the_cells_that_would_fail(own, cli_here, tmp_path):
    (tmp_path / "sweep.toml").write_text(
        '[set]\nlabel_fractions = [0.5]\n[grid]\n"distil.min_confidence" = [0.1, 1.0]\n'
    )
    words = ("--store", own.root, "--config", tmp_path / "sweep.toml", "--out", tmp_path / "out")
    plan = planned(cli_here, "train", "sweep", *words)
    assert (plan["todo"], len(plan["cells"])) == (2, 2)
    assert [note for note in plan["notes"] if "would fail" in note]
    assert not (tmp_path / "out").exists()


def test_a_rate_is_taken_from_shards_in_a_row_and_never_invented(judged):
    assert query(judged, "select count(*) as n from shards where table_name = 'points'")[0][0]
    from data_store.past_shards import bytes_per_row, rows_per_s

    rate = rows_per_s(judged, "points", teacher_id="0" * 64, engine="vllm ")
    assert rate.value is None
    known = bytes_per_row(judged, "points", teacher_id=None, assumed=54.0)
    shards = query(
        judged, "select file_bytes / row_count as b from shards where table_name='points'"
    )
    assert known.value == pytest.approx(shards["b"][0].as_py())
    assert bytes_per_row(judged, "embeddings", teacher_id="0" * 64, assumed=None).value is None
    assert bytes_per_row(judged, "embeddings", teacher_id=None, assumed=9.0).value == 9.0


def test_figures_are_said_as_people_say_them():
    assert [span_of(s) for s in (12, 300, 7200, 400_000)] == ["12 s", "5 min", "2.0 h", "4.6 days"]
    assert [size_of(b) for b in (12, 3400, 1.2e9)] == ["12 byte", "3.4 kB", "1.2 GB"]
    plan = Plan("x", "images", 5, seconds=Figure(None, "nobody knows"), disk_bytes=Figure(10, "so"))
    assert plan.forecast() == "time: unknown: nobody knows; disk: about 10 byte (so)"
