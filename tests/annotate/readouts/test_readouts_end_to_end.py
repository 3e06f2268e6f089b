"""From the tiny teacher's answers to a student, with the teacher's packages gone in between."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from annotate.embed import annotate_states
from annotate.readouts.apply import Applied, apply_readout
from annotate.readouts.files import load_readout, save_readout
from annotate.readouts.fit import FitRequest, fit_readout
from annotate.readouts.labels import LabelChoice
from annotate.run import annotate_points
from annotate.teachers.teacher import Teacher
from data_store.health.verify import verify
from data_store.index import query
from data_store.layout import Store, create_store
from tests.annotate.readouts.conftest import fill, quality_of

# transformers warns of its own future; that is not what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore")

PROGRAM = """
import sys
from pathlib import Path

BLOCKED = {"annotate", "vllm", "transformers", "ray"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)
        return None

sys.meta_path.insert(0, Blocker())

from data_store.layout import open_store
from data_store.settings import load_settings
from train.run import train_run
from train.settings import RunSettings

store, config, out, teacher = sys.argv[1:]
quick = ["distil.epochs=1", "calibrate.epochs=1", "cft_only.epochs=1", "label_fractions=[0.4]",
    "distil.pair_weight=0"]
settings = load_settings(RunSettings, Path(config), quick)
rows = train_run(open_store(store), Path(out), settings, teacher=[teacher])
assert not BLOCKED & {name.partition(".")[0] for name in sys.modules}
for row in rows:
    print(row.name, row.agreement.srcc)
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, tiny_teacher: Teacher, point_prompt) -> Store:
    """Drawn pictures with MOS, and the tiny teacher's points and states of each."""
    folder = tmp_path_factory.mktemp("asked")
    store = create_store(folder / "store")
    fill(store, folder / "images")
    annotate_points(store, tiny_teacher, [point_prompt])
    annotate_states(store, tiny_teacher, point_prompt)
    return store


@pytest.fixture(scope="module")
def applied(asked: Store) -> dict[str, Applied]:
    found = {}
    for kind in ("ridge_levels", "ridge_state"):
        readout = fit_readout(asked, FitRequest(kind, LabelChoice())).readout
        folder = asked.root.parent / kind
        save_readout(readout, folder)
        found[kind] = apply_readout(asked, load_readout(folder))
    return found


def test_readouts_of_the_tiny_teacher_s_levels_and_states_follow_quality(asked, applied):
    _, quality = quality_of(asked)
    for kind, done in applied.items():
        scores = query(
            asked,
            "select score from points where teacher_id = $teacher_id order by image_id",
            {"teacher_id": done.teacher_id},
        )["score"].to_numpy()
        assert done.added == len(quality)
        assert np.corrcoef(scores, quality)[0, 1] > 0.6, kind


def test_the_store_is_sound_with_the_scores_in_it(asked, applied):
    assert {done.teacher for done in applied.values()} <= {
        spec.name for spec in asked.teachers().values()
    }
    assert not verify(asked).findings


def test_the_trainer_learns_from_a_readout_s_scores_with_the_teacher_s_packages_blocked(
    asked, applied, tmp_path
):
    config = Path(__file__).resolve().parents[3] / "configs" / "quick_test.toml"
    teacher = applied["ridge_state"].teacher
    done = subprocess.run(
        [
            sys.executable,
            *("-W", "error", "-c", PROGRAM),
            *(asked.root, config, tmp_path / "run", teacher),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    srcc = dict(line.split() for line in done.stdout.splitlines())
    assert list(srcc) == ["teacher", "label_free", "leaf_40", "cft_only_40"]
    # Held out are the very images that the readout was judged by, none of which it has learnt.
    fitted = fit_readout(asked, FitRequest("ridge_state", LabelChoice()))
    assert float(srcc["teacher"]) == pytest.approx(fitted.measured[0].srcc, abs=1e-12)
