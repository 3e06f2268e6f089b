"""Judgements of images that nobody has join their MOS, and trouble nobody else."""

from pathlib import Path

import pytest
from scipy.stats import spearmanr

from annotate.importing.column_map import Values, column_map
from annotate.importing.request import ImportRequest
from annotate.importing.story import import_judgements
from data_store import queries
from data_store.health.verify import verify
from data_store.index import query
from data_store.layout import open_store
from data_store.sql.user_query import user_query
from schemas.errors import MosFileError
from schemas.ids import sha256_text
from tests.annotate.outside import POINTS, bring_text
from tests.data_store.named_images import know_images

PAGE = Path(__file__).resolve().parents[2] / "docs" / "outside-judgements.md"
QBENCH_SRCC = {
    ("koniq10k", "internlm_xcomposer_vl"): 0.570,
    ("koniq10k", "llava_v1.5"): 0.448,
    ("koniq10k", "visualglm"): 0.247,
    ("agiqa3k", "internlm_xcomposer_vl"): 0.735,
    ("agiqa3k", "llava_v1.5"): 0.664,
    ("agiqa3k", "visualglm"): 0.342,
}


def without_images(store, tmp_path, **more):
    text = "image,model,mos,good,poor\nx.png,m,1,1,0\ny.png,m,2,2,0\nx.png,n,1,0,0\n"
    return bring_text(
        store,
        tmp_path,
        text,
        *POINTS,
        "mos=mos",
        values="logits",
        teacher_column="model",
        without_images=True,
        dataset="set",
        **({"mos_scale": (1, 5)} | more),
    )


def test_judgements_without_images_join_their_mos_by_an_id_of_the_name(store, tmp_path):
    done = without_images(store, tmp_path)
    assert (done.added, done.mos_added, done.unmatched) == (3, 2, ())
    sql = """
        select mos, source, score from points join mos using (image_id)
        where image_id = sha256('set/' || 'y.png')
    """
    (row,) = query(store, sql).to_pylist()
    assert (row["mos"], row["source"]) == (2, "set")
    assert row["score"] > 0.6
    again = without_images(store, tmp_path)
    assert (again.added, again.unchanged, again.mos_added) == (0, 3, 0)
    with pytest.raises(MosFileError, match=r"x.png is stored with another MOS or on another scale"):
        without_images(store, tmp_path, mos_scale=(0, 5))


def test_images_that_nobody_has_trouble_no_other_question(store, tmp_path):
    filled = know_images(store, [f"{name}.png" for name in "abcdef"])
    without_images(filled, tmp_path)
    name = sha256_text("set/x.png")
    assert query(filled, "from images").num_rows == 6
    todo = queries.images_without_point(filled, "t", "p", folder=None)
    assert name not in todo["image_id"].to_pylist()
    assert queries.human_scores(filled).num_rows == 0
    for teacher in queries.teachers(filled).to_pylist():
        assert queries.teacher_points(filled, teacher["teacher_id"]).num_rows == 0
    assert not any(found.is_open for found in verify(filled).findings)


def page_sql(title):
    """The query of docs/outside-judgements.md below this heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n### {title}\n")[1]
    return section.split("```sql\n")[1].split("```")[0]


@pytest.mark.shared
def test_real_judgements_agree_with_people_as_published(tmp_path, shared_folder):
    files = {"koniq10k": ("koniq.csv", (1, 5)), "agiqa3k": ("agi.csv", (0, 5))}
    columns = column_map(
        ("image=image", "good=logit_good", "poor=logit_poor", "mos=mos"), Values.LOGITS
    )
    address = str(tmp_path / "store")
    for dataset, (name, scale) in files.items():
        done = import_judgements(
            address,
            ImportRequest(
                (shared_folder / "data" / "qbench" / name,),
                columns,
                teacher_column="model",
                without_images=True,
                dataset=dataset,
                mos_scale=scale,
            ),
        )
    store = open_store(address)
    found = {
        (row["source"], row["teacher"]): row
        for row in user_query(store, page_sql("Agreement with people")).to_pylist()
    }
    for (dataset, name), srcc in QBENCH_SRCC.items():
        row = found[dataset, done.teachers[name][:12]]
        assert row["srcc"] == pytest.approx(srcc, abs=0.002)
        assert 0 < row["mean_confidence"] < 1
    teacher = done.teachers["llava_v1.5"]
    sql = """
        select score, mos from points join mos using (image_id)
        where teacher_id = $t and source = 'agiqa3k'
    """
    rows = query(store, sql, {"t": teacher})
    expected = spearmanr(rows["score"].to_numpy(), rows["mos"].to_numpy()).statistic
    assert found["agiqa3k", teacher[:12]]["srcc"] == pytest.approx(expected, abs=1e-12)
