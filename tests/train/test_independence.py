"""The trainer works where the teacher's packages cannot be imported at all."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import importlib, pkgutil, sys
from pathlib import Path

BLOCKED = {"annotate", "vllm", "transformers", "ray"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)
        return None

sys.meta_path.insert(0, Blocker())

import train
for module in pkgutil.walk_packages(train.__path__, "train."):
    importlib.import_module(module.name)

from data_store.layout import open_store
from data_store.settings import load_settings
from train.serving.predict import predict_folder
from train.run import train_run
from train.settings import RunSettings

store, config, out = map(Path, sys.argv[1:])
quick = ["distil.epochs=1", "calibrate.epochs=1", "cft_only.epochs=1", "label_fractions=[0.25]"]
settings = load_settings(RunSettings, config, quick)
rows = train_run(open_store(store), out / "run", settings)
done = predict_folder(out / "run", store.parent / "images", out / "scores.parquet")
assert not BLOCKED & {name.partition(".")[0] for name in sys.modules}
print(len(rows), done.scored)
"""


def test_the_trainer_trains_and_predicts_with_the_teacher_s_packages_blocked(
    tmp_path, simulated_store
):
    config = Path(__file__).resolve().parents[2] / "configs" / "quick_test.toml"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, simulated_store.root, config, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["4", "90"]
