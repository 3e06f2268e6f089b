import pytest

from train.run import train_run


@pytest.fixture(scope="package")
def trained(tmp_path_factory, simulated_store, settings):
    """A small run that went through, on ninety pictures; not to be changed."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    quick = settings(
        "label_fractions=[0.5]", "distil.epochs=1", "calibrate.epochs=1", "cft_only.epochs=1"
    )
    train_run(simulated_store, folder, quick)
    return folder


@pytest.fixture(scope="package")
def images(simulated_store):
    return simulated_store.root.parent / "images"
