"""docs/sql-views.md: every view of a store with every column, in the words of the schemas."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from data_store.index import query
from data_store.layout import Store, create_store
from schemas.fields import key_columns
from schemas.tables import TABLES
from tools.docs.markdown import NOTE, page, table

VIEW_DOCS = {
    "score": "logit expectation brought to [0, 1]: (s - 1) / 4; given_score where fewer than two"
    " levels were offered",
    "confidence": "1 - entropy / ln n of the n levels that were offered, for pairs of the"
    " preference's two answers; given_confidence where fewer than two levels were offered",
    "logit_expectation": "mean level under the closed-set softmax, in [1, 5]",
    "level_variance": "variance of the level under the closed-set softmax, in squared levels",
    "entropy": "Shannon entropy of the level distribution, in nats",
    "level_mass": "probability of all level words together, before renormalising",
    "level_probs": "closed-set probabilities of the levels, worst first; 0 where not offered",
    "preference_prob": "P(image_a better), from the mean of both orders' logits; from one order"
    " where the other was not asked, given_preference where neither was",
    "preference_prob_mean": "P(image_a better) as the mean of both orders' probabilities",
    "confidence_mean": "1 - entropy / ln 2 of preference_prob_mean: orders that disagree cost",
    "position_bias": "logits that standing first adds: (logit_ab - logit_ba) / 2; null where one"
    " order is not known",
    "consistent": "whether both orders prefer the same image; null where one is not known",
    "letter_mass": "probability of A and B together, mean of the orders",
    "logit_ab": "logit for image_a, shown first",
    "logit_ba": "logit for image_a, shown second",
    "width": "numbers in the state",
    "mos_unit": "MOS brought to [0, 1] by its scale",
    "file_count": "files with these bytes",
    "shard": "hash of the shard that the row lies in; see [table `shards`](data-format.md#shards)",
}


DERIVED_VIEWS = {
    "teacher_scores": (
        "One row per image and teacher: its points as means over the prompts it was asked.",
        {
            "prompt_count": "prompts that were asked",
            "score": "mean score",
            "confidence": "mean confidence",
            "score_spread": "largest less smallest score of the prompts",
        },
    ),
    "calibrated_points": (
        "One row per point of a teacher and prompt that was also asked about blanks, pictures"
        " without content. The mean log-probabilities that the blanks of its latest run with"
        " blanks got are taken off, level by level, and the rest is renormalised (contextual"
        " calibration, Zhao et al. 2021, arXiv:2102.09690). Without blanks there is no row, nor"
        " where fewer than two levels are left.",
        {
            "score": "mean level of the calibrated probabilities, brought to [0, 1]",
            "confidence": "1 - entropy / ln n of the calibrated probabilities",
            "level_probs": "calibrated probabilities of the levels, worst first",
        },
    ),
    "sentinels": (
        "One row per sentinel of a run, an image that has a point and was asked about again.",
        {
            "drift": "largest difference of a level's log-probability to the stored point's, nat",
            "score_drift": "new score less stored score",
        },
    ),
    "drift": (
        "One row per run, teacher and prompt: what its sentinels say together.",
        {
            "engine": "engine with its version and hardware",
            "asked_at": "when it was asked, in UTC",
            "image_count": "sentinels",
            "mean_drift": "mean of their drift, nat",
            "max_drift": "largest of their drift, nat",
            "mean_score_drift": "mean of new score less stored score",
        },
    ),
    "pair_bias": (
        "One row per teacher and prompt: how its pairs depend on the order.",
        {
            "pair_count": "pairs",
            "mean_position_bias": "mean logits that standing first adds",
            "consistency_rate": "share of the pairs in which both orders prefer the same image",
            "first_letter_share": "share of the questions answered with A; 0.5 without a bias",
            "mean_letter_mass": "mean probability of A and B together",
        },
    ),
    "cycles": (
        "One row per teacher and prompt with triangles: three images whose three pairs were all"
        " judged, and none of them undecided.",
        {
            "triangle_count": "triangles",
            "cycle_count": "triangles in which a beats b, b beats c and c beats a",
            "cycle_rate": "share of such triangles; answers by chance give 1/4",
        },
    ),
    "implied_pairs": (
        "One row per judged pair whose images both have points with levels of the same teacher:"
        " what these alone say of it, without a question about the pair. The levels count as"
        " independent normal variables, the answers to several prompts as one mixture.",
        {
            "implied_prob": "P(image_a better) = Phi((s_a - s_b) / sqrt(var_a + var_b))",
            "preference_prob": "P(image_a better) as in `pairs`",
            "agrees": "whether both prefer the same image; null where one is undecided",
        },
    ),
}
"""Views that stand on others: what a row is, and what the columns that are not keys hold."""

TABLE_VIEWS = {
    "images": ("images", "One row per image, however many files hold it."),
    "image_files": ("images", "One row per file; the view `images` has one row per content."),
}
"""Views whose rows have another key than the table whose columns they show."""


def sql_views() -> str:
    """The page docs/sql-views.md.

    Raises:
        KeyError: a view or a column has no words.
    """
    with tempfile.TemporaryDirectory() as folder:
        store = create_store(Path(folder) / "store")
        return page(_parts(store))


def _parts(store: Store) -> Iterator[str]:
    yield "# Views"
    yield NOTE
    yield (
        "What `store sql` can ask, beside the [stored tables](data-format.md): a view shows one row"
        " per key and what is derived from it. Changing a formula costs no GPU, because scores and"
        " confidences are computed here and not stored. [Queries](queries.md) has queries to begin"
        " with; [methods](methods.md) has the formulas."
    )
    names = query(
        store, "select view_name from duckdb_views() where not internal order by view_name"
    )["view_name"].to_pylist()
    yield table(
        ("view", "shows"),
        ((f"[`{name}`](#{name})", _meaning(name).split(". ")[0].rstrip(".")) for name in names),
    )
    for name in names:
        yield f"## {name}"
        yield _meaning(name)
        yield table(("column", "type", "meaning"), _columns(store, name))
    yield "## Functions"
    yield (
        "`normal_cdf(x)` is the standard normal distribution function, to 7.5e-8."
        " `split_position(key, seed)` is where a key falls in [0, 1), and"
        " `is_test(group_id, seed, test_fraction)` whether its group is held out: the same as in"
        " `data_store/splits.py`, for any seed."
    )


def _meaning(name: str) -> str:
    """What a row of a view is."""
    if name in DERIVED_VIEWS:
        return DERIVED_VIEWS[name][0]
    if name in TABLE_VIEWS:
        return TABLE_VIEWS[name][1]
    schema = TABLES[name]
    keys = ", ".join(key_columns(schema))
    return f"One row per {keys}: {schema.metadata[b'meaning'].decode()}."


def _columns(store: Store, name: str) -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of each column of a view."""
    words = _words(name)
    for row in query(store, f"describe {name}").to_pylist():
        yield f"`{row['column_name']}`", row["column_type"], words[row["column_name"]]


def _words(name: str) -> dict[str, str]:
    """What the columns of a view hold; those that tables have are explained there."""
    if name in DERIVED_VIEWS:
        evidence = ("probes", "pairs", "points")  # of one name, the last one's words stand
        stored = {key: text for table_name in evidence for key, text in _docs(TABLES[table_name])}
        return {**VIEW_DOCS, **stored, **DERIVED_VIEWS[name][1]}
    return {**VIEW_DOCS, **dict(_docs(TABLES[TABLE_VIEWS.get(name, (name,))[0]]))}


def _docs(schema: pa.Schema) -> Iterator[tuple[str, str]]:
    for field in schema:
        notes = {key.decode(): value.decode() for key, value in field.metadata.items()}
        unit = f", in {notes['unit']}" if notes["unit"] else ""
        yield field.name, notes["doc"] + unit
