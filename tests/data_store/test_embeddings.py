"""Teachers' states are stored once each, of any width, and come back as they were rounded."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_store import compact as compaction
from data_store import shards
from data_store.compact import compact
from data_store.embeddings import read_states, state_cell, state_column, state_prompts
from data_store.health.repair import repair
from data_store.health.verify import verify
from data_store.index import query
from data_store.shards import commit_rows
from schemas.embeddings import EMBEDDINGS, embeddings_schema
from schemas.errors import InputError, RowRefused, ShardDamaged
from schemas.ids import sha256_text
from schemas.images import IMAGES
from schemas.rows import to_table
from tests.data_store.rows import PROMPT, TEACHER, embedding, image, image_id

OTHER_PROMPT = sha256_text("other prompt")


def commit(store, rows, **options):
    options = {"producer": "test", "teacher_id": TEACHER} | options
    return commit_rows(store, "embeddings", to_table(rows, EMBEDDINGS), **options)


def state(number, width=8):
    return np.frombuffer(embedding(number, width)["state"], "<f2")


def expected(*numbers, width=8):
    """The states of images in the order of their ids."""
    return np.array([state(n, width) for n in sorted(numbers, key=image_id)])


def test_states_come_back_in_the_order_of_their_ids_from_several_shards(store):
    commit(store, [embedding(n) for n in (3, 0, 5)])
    commit(store, [embedding(n) for n in (4, 1)] + [embedding(9) | {"prompt_id": OTHER_PROMPT}])
    found = read_states(store, TEACHER, PROMPT)
    assert found.image_ids.to_pylist() == sorted(map(image_id, (0, 1, 3, 4, 5)))
    assert found.values.dtype == np.float16
    assert (found.values == expected(0, 1, 3, 4, 5)).all()
    assert (read_states(store, TEACHER, OTHER_PROMPT).values == expected(9)).all()
    assert state_prompts(store, TEACHER) == sorted((PROMPT, OTHER_PROMPT))
    assert state_prompts(store, "somebody else") == []


def test_a_float_is_rounded_to_the_nearest_float16_and_kept_to_the_bit(store):
    rng = np.random.default_rng(0)
    given = (rng.normal(size=(50, 7)) * 10 ** rng.uniform(-9, 4, size=(50, 7))).astype(np.float32)
    rows = pa.table(
        [
            pa.array([f"{number:04}" for number in range(50)]),
            pa.array([TEACHER] * 50),
            pa.array([PROMPT] * 50),
            state_column(given),
            pa.array([30] * 50, pa.int32()),
            pa.nulls(50, pa.int32()),
        ],
        schema=embeddings_schema(7),
    )
    commit_rows(store, "embeddings", rows, producer="test", teacher_id=TEACHER)
    found = read_states(store, TEACHER, PROMPT).values
    assert found.tobytes() == given.astype(np.float16).tobytes()
    assert state_cell(given[3]) == given[3].astype("<f2").tobytes()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 65536.0, -1e30])
def test_a_number_that_float16_does_not_hold_is_refused_by_its_row(wrong):
    states = np.zeros((3, 4), np.float32)
    states[2, 1] = wrong
    with pytest.raises(RowRefused, match=r"row 2: column state holds .* at place 1, which is not"):
        state_column(states)
    with pytest.raises(RowRefused, match="column state"):
        state_cell(states[2])


def test_a_shard_says_how_to_read_its_states_without_this_package(store):
    path = commit(store, [embedding(n, 5) for n in range(4)])
    field = pq.read_schema(path).field("state")
    assert (field.metadata[b"dtype"], field.metadata[b"shape"]) == (b"float16", b"[5]")
    assert field.type == pa.binary(10)
    raw = b"".join(pq.ParquetFile(path).read().column("state").to_pylist())
    assert (np.frombuffer(raw, "<f2").reshape(-1, 5) == [state(n, 5) for n in range(4)]).all()


def test_the_view_names_the_width_and_gives_the_state_as_bytes(store):
    commit(store, [embedding(0, 5)])
    (row,) = query(store, "select width, state, shard from embeddings").to_pylist()
    assert (row["width"], row["state"]) == (5, embedding(0, 5)["state"])
    (shard,) = query(store, "select shard, width from shards").to_pylist()
    assert shard == {"shard": row["shard"], "width": 5}


def test_a_key_that_was_written_twice_is_one_state_and_a_compacted_one_stands(store):
    commit(store, [embedding(0), embedding(1)])
    newer = embedding(1) | {"state": embedding(7)["state"]}
    commit(store, [newer], generation=1)
    twice = [embedding(2), embedding(2) | {"state": embedding(8)["state"]}]
    commit(store, twice)
    found = read_states(store, TEACHER, PROMPT)
    want = {image_id(0): state(0), image_id(1): state(7), image_id(2): state(2)}
    assert found.image_ids.to_pylist() == sorted(want)
    assert (found.values == [want[one] for one in sorted(want)]).all()
    rows = query(store, "select image_id, state from embeddings").to_pylist()
    assert {row["image_id"]: row["state"] for row in rows} == {
        one: values.tobytes() for one, values in want.items()
    }
    compact(store)
    assert len(store.shards()) == 1
    assert (read_states(store, TEACHER, PROMPT).values == found.values).all()


def test_large_shards_are_read_row_group_by_row_group(store, monkeypatch):
    monkeypatch.setattr(shards, "ROW_GROUP_BYTES", 3 * 16)
    path = commit(store, [embedding(n) for n in range(8)])
    assert pq.read_metadata(path).num_row_groups == 3
    assert (read_states(store, TEACHER, PROMPT).values == expected(*range(8))).all()
    assert verify(store).open_count == 0


def test_compaction_stops_where_a_shard_would_hold_too_many_bytes(store, monkeypatch):
    size = max(commit(store, [embedding(n)]).stat().st_size for n in range(6))
    monkeypatch.setattr(compaction, "BYTES_PER_SHARD", int(2.5 * size))
    compact(store)
    assert len(store.shards()) == 3
    assert (read_states(store, TEACHER, PROMPT).values == expected(*range(6))).all()
    before = store.shards()
    monkeypatch.setattr(compaction, "BYTES_PER_SHARD", int(1.5 * size))
    compact(store)
    assert store.shards() == before


def test_two_widths_of_one_teacher_are_refused_where_they_are_read_together(store):
    commit(store, [embedding(0, 4)])
    commit(store, [embedding(1, 4)])
    commit(store, [embedding(2, 6), embedding(3, 6) | {"prompt_id": OTHER_PROMPT}])
    with pytest.raises(InputError, match=r"differ in width: . numbers in embeddings/teacher=.*, "):
        read_states(store, TEACHER, PROMPT)
    assert (read_states(store, TEACHER, OTHER_PROMPT).values == expected(3, width=6)).all()
    compact(store)  # which merges those of one width alone
    widths = query(store, "select width, row_count from shards order by width").to_pylist()
    assert widths == [{"width": 4, "row_count": 2}, {"width": 6, "row_count": 2}]
    said = [one for one in verify(store).findings if "states of 4, 6 numbers" in one.what]
    assert [one.is_open for one in said] == [False]


def test_states_that_are_not_there_are_asked_for_by_the_command_that_makes_them(store):
    with pytest.raises(InputError, match="has no states of teacher") as refused:
        read_states(store, TEACHER, PROMPT)
    assert "annotate embed" in refused.value.fix


def test_rows_without_a_width_of_their_own_cannot_be_committed(store):
    rows = to_table([embedding(0)], EMBEDDINGS)
    place = rows.schema.get_field_index("state")
    loose = rows.set_column(place, EMBEDDINGS.field("state"), rows["state"].cast(pa.binary()))
    with pytest.raises(RowRefused, match="or differ in type"):
        commit_rows(store, "embeddings", loose, producer="test", teacher_id=TEACHER)


def test_a_damaged_shard_is_named_moved_away_and_asked_for_again(store):
    commit_rows(store, "images", to_table([image(0)], IMAGES), producer="test")
    path = commit(store, [embedding(0)])
    assert not [one for one in verify(store).findings if "not in the store" in one.what]
    page = pq.read_metadata(path).row_group(0).column(EMBEDDINGS.get_field_index("state"))
    content = bytearray(path.read_bytes())
    content[page.data_page_offset + page.total_compressed_size - 4] ^= 1
    path.write_bytes(content)
    with pytest.raises(ShardDamaged, match="cannot be read"):
        read_states(store, TEACHER, PROMPT)
    store.index_path.unlink()
    with pytest.raises(ShardDamaged, match="hash to"):
        read_states(store, TEACHER, PROMPT)
    (finding,) = [one for one in repair(store, verify(store)).findings if one.repaired]
    assert f"embeddings/teacher={TEACHER}/" in finding.name
    assert "annotate embed --model" in finding.then
    assert not path.exists()
