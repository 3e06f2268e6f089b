"""Every image with its side of the split and the share of the labels that it counts to."""

from collections.abc import Sequence

import pyarrow as pa

from data_store.index import query
from data_store.layout import Store


def split_table(
    store: Store,
    *,
    seed: int,
    test_fraction: float,
    label_seed: int,
    label_percents: Sequence[float],
) -> pa.Table:
    """Who is trained on, who is held out, and who keeps a label; the trainer's own choice.

    Args:
        store: which store.
        seed: of the split, `split.seed` of the trainer.
        test_fraction: share of the groups held out, in [0, 1].
        label_seed: of the order of the labels, `seed` of the trainer.
        label_percents: shares of the labels, each in (0, 100].

    Returns:
        image_id, path, group_id, split ("train" or "test"), label_percent: the smallest of the
        shares that an image with MOS which is not held out belongs to; null for all others.
        Ordered by image_id.
    """
    # round_even rounds as data_store.splits.label_count does; a test holds the two together.
    return query(
        store,
        """
        with placed as (
            select image_id, path, group_id,
                is_test(group_id, $seed, $test_fraction) as held_out
            from images
        ),
        labelled as (
            select image_id,
                row_number() over (
                    order by split_position(image_id, $label_seed), image_id
                ) as place,
                count(*) over () as candidates
            from placed
            where not held_out and image_id in (select image_id from mos)
        ),
        smallest as (
            select image_id, min(percent) as label_percent
            from labelled join shares on place <= round_even(percent / 100 * candidates, 0)
            group by image_id
        )
        select image_id, path, group_id,
            case when held_out then 'test' else 'train' end as split, label_percent
        from placed left join smallest using (image_id)
        order by image_id
        """,
        {"seed": seed, "test_fraction": test_fraction, "label_seed": label_seed},
        tables={"shares": pa.table({"percent": pa.array(label_percents, pa.float64())})},
    )
