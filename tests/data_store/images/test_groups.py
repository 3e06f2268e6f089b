"""Groups follow looks, stand once they are there, and do not depend on the order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data_store.images.groups import NO_LOOKS, Contents, Looks, grouped
from data_store.images.look_alikes import Neighbours


def looks(hashes, stored=(), distance=1):
    """How hashes, here whole numbers, are alike: how far apart they are."""

    def near(others):
        found = [
            (row, place, abs(a - b))
            for row, a in enumerate(hashes)
            for place, b in enumerate(others)
            if abs(a - b) <= distance
        ]
        return Neighbours(*np.array(found, np.int64).reshape(-1, 3).T)

    groups = sorted({group for _, group in stored})
    to_stored = near([value for value, _ in stored])
    places = np.array([groups.index(group) for _, group in stored], np.int64)
    return Looks(near(hashes), to_stored._replace(other=places[to_stored.other]), groups)


def groups_of(images, stored=(), distance=1):
    """Groups by image_id, of images given as {image_id: (hash or None, fixed group or None)}."""
    hashes = sorted({value for value, _ in images.values() if value is not None})
    rows = [-1 if value is None else hashes.index(value) for value, _ in images.values()]
    contents = Contents(list(images), np.array(rows), [fixed for _, fixed in images.values()])
    found = grouped(contents, looks(hashes, stored, distance))
    return dict(zip(images, zip(found.group_ids, found.by_looks, found.bridges.tolist(),
                                strict=True), strict=True))  # fmt: skip


def test_new_look_alikes_form_a_group_named_for_the_smallest_of_them():
    found = groups_of({"c": (1, None), "b": (2, None), "a": (3, None), "d": (9, None)})
    assert found == {
        "c": ("a", True, False),
        "b": ("a", True, False),
        "a": ("a", False, False),
        "d": ("d", False, False),
    }


def test_an_image_takes_the_group_of_the_nearest_stored_one_and_the_smaller_of_two():
    stored = [(10, "far"), (13, "near"), (20, "z"), (22, "y")]
    found = groups_of({"a": (12, None), "b": (21, None)}, stored, distance=2)
    assert found == {"a": ("near", True, True), "b": ("y", True, True)}


def test_a_group_reaches_through_new_images_step_by_step():
    found = groups_of({"c": (1, None), "b": (2, None), "a": (3, None)}, [(0, "stored")])
    assert {group for group, _, _ in found.values()} == {"stored"}
    assert all(by_looks for _, by_looks, _ in found.values())


def test_a_fixed_group_stands_and_draws_its_look_alikes():
    found = groups_of({"a": (1, "given"), "b": (2, None), "c": (2, "other")}, [(1, "stored")])
    assert found["a"] == ("given", False, True)
    assert found["c"] == ("other", False, True)
    assert found["b"] == ("other", True, True)  # at no distance, nearer than given and stored


def test_an_image_without_a_hash_stands_alone_or_where_it_was_put():
    found = groups_of({"a": (None, None), "b": (None, "given"), "c": (5, None)})
    assert [group for group, _, _ in found.values()] == ["a", "given", "c"]
    nobody = grouped(Contents(["x", "y"], np.array([-1, -1]), [None, "g"]), NO_LOOKS)
    assert (nobody.group_ids, nobody.by_looks) == (["x", "g"], [False, False])
    assert grouped(Contents([], np.array([], np.int64), []), NO_LOOKS).group_ids == []


IMAGES = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3),
    st.tuples(st.none() | st.integers(0, 25), st.none() | st.sampled_from(["G", "H"])),
    min_size=1,
    max_size=14,
)
STORED = st.lists(st.tuples(st.integers(0, 25), st.sampled_from(["S", "T", "U"])), max_size=5)


@settings(deadline=None)
@given(images=IMAGES, stored=STORED, seed=st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(images, stored, seed):
    items = list(images.items())
    seed.shuffle(items)
    assert groups_of(dict(items), stored) == groups_of(images, stored)


@settings(deadline=None)
@given(images=IMAGES, stored=STORED)
def test_only_what_is_said_to_be_a_bridge_looks_like_an_image_of_another_group(images, stored):
    found = groups_of(images, stored)
    for name, (value, fixed) in images.items():
        group, _, bridge = found[name]
        near = [found[n][0] for n, (v, _) in images.items()
                if None not in (v, value) and abs(v - value) <= 1]  # fmt: skip
        near += [g for v, g in stored if value is not None and abs(v - value) <= 1]
        assert bridge == any(other != group for other in near)
        assert fixed in (None, group)


@settings(deadline=None)
@given(first=IMAGES, second=IMAGES)
def test_adding_images_never_moves_a_stored_one(first, second):
    before = groups_of(first)
    stored = [(v, before[n][0]) for n, (v, _) in first.items() if v is not None]
    again = {n: (v, before[n][0]) for n, (v, _) in first.items()}
    later = {n: image for n, image in second.items() if n not in first}
    after = groups_of({**again, **later}, stored)
    assert all(after[name][0] == before[name][0] for name in first)
