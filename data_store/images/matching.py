"""Find the images that names mean: names in score files and in other systems' answers.

Names are matched in the database, so that millions of them fit.
"""

import re

import pyarrow as pa

from data_store.images.names import INSIDE, SUFFIXES
from data_store.index import query
from data_store.layout import Store

AS_WRITTEN, OTHER_CASE, OTHER_ENDING, BARE_NAME = 1, 2, 3, 4


def match_names(store: Store, names: pa.Array) -> pa.Table:
    """Which image each name means.

    A name is an image_id, a path, a path below the folder that was added, a name in a container,
    or a bare file name. It is looked for as it is written; then with other capitals or accents;
    then without its ending; then, where it is a path, by its bare file name alone.

    Args:
        store: whose images.
        names: (n,) texts, all different.

    Returns:
        In the order of the names: name; way, the first of the four in which any image fits, null
        where none does; image_count, how many images fit that way; image_id, null unless one
        does.
    """
    return query(
        store,
        """
        with files as (
            select image_id, path, name, string_split(name, $inside)[-1] as in_container
            from image_files
        ),
        keys as materialized (
            select name as key, image_id from files
            union
            select in_container, image_id from files
            union
            select parse_filename(in_container, false, 'forward_slash'), image_id from files
        ),
        exact as (
            from keys union select path, image_id from files union select image_id, image_id
            from files
        ),
        folded as (
            select distinct lower(nfc_normalize(key)) as key, image_id from keys
        ),
        without_ending as (
            select distinct regexp_replace(key, $ending, '') as key, image_id from folded
        ),
        wanted as (
            select place, name, lower(nfc_normalize(name)) as folded,
                regexp_replace(folded, $ending, '') as without_ending,
                parse_filename(folded, false, 'both_slash') as bare
            from names
        ),
        fits as (
            select place, 1 as way, image_id from wanted join exact on key = name
            union all
            select place, 2, image_id from wanted join folded on key = wanted.folded
            union all
            select place, 3, image_id from wanted join without_ending on key = wanted.without_ending
            union all
            select place, 4, image_id from wanted join folded on key = bare
        ),
        best as (
            select place, way, count(distinct image_id) as image_count, min(image_id) as any_image
            from fits
            where (place, way) in (select (place, min(way)) from fits group by place)
            group by place, way
        )
        select name, way, coalesce(image_count, 0) as image_count,
            case when image_count = 1 then any_image end as image_id
        from names left join best using (place)
        order by place
        """,
        {
            "inside": INSIDE,
            "ending": rf"({'|'.join(re.escape(suffix) for suffix in sorted(SUFFIXES))})$",
        },
        tables={
            "names": pa.table({"place": pa.array(range(len(names)), pa.int64()), "name": names})
        },
    )
