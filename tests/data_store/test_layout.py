"""Making and opening stores."""

import pytest

from data_store.layout import create_store, open_store
from schemas.errors import StoreFormatError, StoreMissing


def test_making_a_store_twice_keeps_it(tmp_path):
    first = create_store(tmp_path / "new" / "store")
    (first.root / "images").mkdir()
    assert create_store(first.root) == first
    assert (first.root / "images").is_dir()


def test_a_folder_of_other_things_is_not_turned_into_a_store(tmp_path):
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(StoreMissing, match="not empty"):
        create_store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_opening_nothing_says_how_to_make_a_store(tmp_path):
    with pytest.raises(StoreMissing, match="store init"):
        open_store(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format_version":99}', "format version 99, this program reads 1"),
        ("{}", "cannot be read"),
        ("not json", "cannot be read"),
        ("[1]", "cannot be read"),
    ],
)
def test_a_store_of_another_format_is_refused_and_left_alone(tmp_path, text, said):
    store = create_store(tmp_path / "store")
    marker = store.root / "store.json"
    marker.write_text(text)
    for opened in (open_store, create_store):
        with pytest.raises(StoreFormatError, match=said):
            opened(store.root)
    assert marker.read_text() == text
