"""The page on which people rate: files as they are, in a real browser, to everybody's CSV."""

import io
import json
import math
import tarfile

import pytest
from PIL import Image

from data_store.images.pictures import decode_rgb
from data_store.mos.ratings import EXPORT_COLUMNS, read_ratings
from data_store.pages.label_page import RECORD, RatedImage, fill_label_page
from schemas.errors import InputError, NotEnoughData
from schemas.ids import sha256_bytes
from tests.browsing import accessibility_problems, opened, page_width
from tests.conftest import picture
from tests.train.selection.rater import press, rating, saved, shown, start
from train.selection.label_page import check_page_folder, write_label_page
from train.selection.shortlist import ShortlistRow

NASTY = "</script><img src=x onerror=alert(1)> =1+1,\"'\n&.png"


def rated_image(path):
    return RatedImage(sha256_bytes(path.read_bytes()), str(path))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Six images of several sizes on a page, two with hostile names."""
    folder = tmp_path_factory.mktemp("page")
    images = []
    for number, name in enumerate(["a.png", "b.jpg", NASTY.replace("/", "_"), "ü ß.webp"]):
        picture(number).save(folder / name)
        images.append(rated_image(folder / name))
    picture(5, size=1000).save(folder / "large.png")
    picture(6).save(folder / "f.bmp")
    images += [rated_image(folder / "large.png"), rated_image(folder / "f.bmp")]
    fill_label_page(folder / "page", images)
    return folder / "page"


def test_images_lie_on_the_page_as_they_are_and_what_browsers_cannot_show_loses_no_pixel(tmp_path):
    picture(1).save(tmp_path / "a.jpg")
    picture(2).save(tmp_path / "b.tif")
    with tarfile.open(tmp_path / "c.tar", "w") as tar:
        tar.add(tmp_path / "a.jpg", "inside/d.jpg")
    (tmp_path / "no.png").write_bytes(b"no image")
    ids = [letter * 64 for letter in "abcd"]
    paths = ["a.jpg", "b.tif", "c.tar::inside/d.jpg", "no.png"]
    images = [RatedImage(i, str(tmp_path / path)) for i, path in zip(ids, paths, strict=True)]
    done = fill_label_page(tmp_path / "page", images)
    assert (done.image_count, [error.where for error in done.failures]) == (
        3,
        [str(tmp_path / "no.png")],
    )
    folder = tmp_path / "page" / "images"
    assert {path.name for path in folder.iterdir()} == {
        f"{ids[0]}.jpg", f"{ids[1]}.png", f"{ids[2]}.jpg"
    }  # fmt: skip
    original = (tmp_path / "a.jpg").read_bytes()
    assert (folder / f"{ids[0]}.jpg").read_bytes() == original
    assert (folder / f"{ids[2]}.jpg").read_bytes() == original
    with Image.open(folder / f"{ids[1]}.png") as made:
        expected = decode_rgb((tmp_path / "b.tif").read_bytes(), where="b.tif")
        assert made.convert("RGB").tobytes() == expected.tobytes()
    record = json.loads((tmp_path / "page" / RECORD).read_text())
    assert [image["name"] for image in record["images"]] == ["a.jpg", "b.tif", "d.jpg"]


def test_a_page_is_known_by_its_images_and_not_by_their_order(tmp_path):
    picture(1).save(tmp_path / "a.png")
    picture(2).save(tmp_path / "b.png")
    both = [rated_image(tmp_path / "a.png"), rated_image(tmp_path / "b.png")]
    ids = [
        fill_label_page(tmp_path / name, images).page_id
        for name, images in (("one", both), ("two", both[::-1]), ("three", both[:1]))
    ]
    assert ids[0] == ids[1] != ids[2]


def test_a_page_that_people_may_be_working_on_is_not_replaced(tmp_path):
    picture(1).save(tmp_path / "a.png")
    row = ShortlistRow("a" * 64, str(tmp_path / "a.png"), 1, None, "")
    write_label_page(tmp_path / "page", [row])
    with pytest.raises(InputError, match="--page another name, or --force"):
        check_page_folder(tmp_path / "page", force=False)
    check_page_folder(tmp_path / "page", force=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dear.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else"):
        check_page_folder(tmp_path / "other", force=True)


def test_a_page_without_a_readable_image_is_not_written(tmp_path):
    row = ShortlistRow("a" * 64, str(tmp_path / "gone.png"), 1, None, "")
    with pytest.raises(NotEnoughData, match="none of the 1 chosen images"):
        write_label_page(tmp_path / "page", [row])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("width", "scheme"), [(1600, "light"), (400, "dark")])
def test_the_page_is_whole_at_every_step_and_asks_for_its_own_images_alone(
    browser, page, width, scheme
):
    with opened(browser, page / "index.html", width=width, scheme=scheme) as found:
        tab = found.page
        assert accessibility_problems(found) == []
        assert page_width(found) <= width
        start(tab, "Ann")
        shown(tab)
        assert accessibility_problems(found) == []
        assert page_width(found) <= width
        for key in "12345":
            press(tab, key)
        assert "Image 6 of 6, 5 rated" in tab.locator("#said").inner_text()
        press(tab, "3")
        tab.wait_for_selector("#end:visible")
        assert accessibility_problems(found) == []
        assert page_width(found) <= width
        assert found.console == []
        own = (page / "images").as_uri()
        assert found.requests
        assert all(address.startswith(own) for address in found.requests)


def test_what_was_pressed_is_what_is_saved_whatever_the_files_are_called(browser, page, tmp_path):
    with rating(browser, page, 'Ann, "A"  O\'Hara =1') as found:
        given = press(found.page, "512034")
        assert "5 of 6 images; 1 could not be rated" in found.page.locator("#sum").inner_text()
        path, rows = saved(found.page, tmp_path)
        assert found.console == []
    assert list(rows[0]) == list(EXPORT_COLUMNS)
    assert {row["rater"] for row in rows} == {'Ann, "A" O\'Hara =1'}
    assert {row["image_id"]: row["rating"] or "0" for row in rows} == given
    assert [row["position"] for row in rows] == list("123456")
    assert NASTY.replace("/", "_") in {row["image"] for row in rows}
    assert all(0 <= float(row["seconds"]) < 60 for row in rows)
    read = read_ratings([path])
    assert (read.problems, read.unrated_count) == ([], 1)
    values = dict(zip(read.images, read.values[0].tolist(), strict=True))
    assert {i: v for i, v in values.items() if math.isfinite(v)} == {
        i: float(key) for i, key in given.items() if key != "0"
    }


def test_a_rating_can_be_changed_and_the_last_one_counts(browser, page, tmp_path):
    with rating(browser, page, "Ann") as found:
        tab = found.page
        first = shown(tab)
        tab.keyboard.press("2")
        shown(tab)
        tab.keyboard.press("Backspace")
        assert shown(tab) == first
        assert tab.locator("[aria-pressed=true]").inner_text() == "2 Poor"
        tab.get_by_role("button", name="4 Good").click()
        second = shown(tab)
        assert second != first
        tab.keyboard.press("ArrowRight")
        assert shown(tab) not in (first, second)
        _, rows = saved(tab, tmp_path)
    assert [(row["image_id"], row["rating"]) for row in rows] == [(first, "4")]


def test_two_people_on_one_page_keep_apart_and_see_other_orders(browser, page, tmp_path):
    with rating(browser, page, "Ann") as found:
        tab = found.page
        ann = press(tab, "123")
        tab.get_by_role("button", name="Leave").click()
        start(tab, "Bo")
        bo = press(tab, "555555")
        _, of_bo = saved(tab, tmp_path)
        tab.get_by_role("button", name="Another person rates").click()
        tab.fill("#rater", "Ann")
        assert "Ann has rated 3 of 6" in tab.locator("#known").inner_text()
        tab.get_by_role("button", name="Go on").click()
        assert "Image 4 of 6, 3 rated" in tab.locator("#progress").inner_text()
        _, of_ann = saved(tab, tmp_path)
    assert {row["image_id"]: row["rating"] for row in of_ann} == ann
    assert {row["image_id"]: row["rating"] for row in of_bo} == bo
    assert list(ann) != list(bo)[:3]
    with rating(browser, page, "Ann") as found:  # another browser: the order is Ann's all the same
        assert list(press(found.page, "111")) == list(ann)


def test_saved_ratings_are_gone_on_with_in_another_browser(browser, page, tmp_path):
    with rating(browser, page, "Ann") as found:
        given = press(found.page, "245")
        path, _ = saved(found.page, tmp_path)
    with opened(browser, page / "index.html") as found:
        tab = found.page
        tab.locator("details > summary").click()
        tab.set_input_files("#earlier", path)
        tab.wait_for_function("document.getElementById('rater').value === 'Ann'")
        tab.get_by_role("button", name="Go on").click()
        given |= press(tab, "313")
        _, rows = saved(tab, tmp_path)
        (tmp_path / "other.csv").write_text("rater,image_id,page\nBo,x,y\n")
        tab.get_by_role("button", name="Another person rates").click()
        tab.set_input_files("#earlier", tmp_path / "other.csv")
        tab.wait_for_selector("#warning:visible")
        assert "other.csv holds no ratings of this page" in tab.locator("#warning").inner_text()
        assert found.console == []
    assert {row["image_id"]: row["rating"] for row in rows} == given


def test_a_browser_that_keeps_nothing_says_so_and_asks_before_it_loses_ratings(browser, page):
    with opened(browser, page / "index.html") as found:
        tab = found.page
        tab.add_init_script(
            "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }})"
        )
        tab.reload()
        start(tab, "Ann")
        assert "keeps nothing" in tab.locator("#warning").inner_text()
        press(tab, "3")
        asked = []
        tab.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
        tab.reload()
        assert asked == ["beforeunload"]
        assert found.console == []


def test_an_image_has_its_own_pixels_and_is_smaller_only_where_there_is_no_room(browser, page):
    with rating(browser, page, "Ann", width=700) as found:
        tab = found.page
        widths = {}
        for _ in range(6):
            name = shown(tab)
            own, used = tab.evaluate(
                "(() => { const one = document.getElementById('shown');"
                " return [one.naturalWidth, one.getBoundingClientRect().width]; })()"
            )
            widths[own] = used
            if own == 1000:
                assert tab.locator("#size").is_visible()
                tab.keyboard.press("z")
                assert tab.locator("#shown").bounding_box()["width"] == 1000
                tab.keyboard.press("z")
            else:
                assert not tab.locator("#size").is_visible()
            tab.keyboard.press("ArrowRight")
            assert name
        assert widths[48] == 48
        assert 0 < widths[1000] < 700


def test_an_image_that_does_not_load_can_be_passed_over(browser, tmp_path):
    data = io.BytesIO()
    picture(1).save(data, "PNG")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(data.getvalue() + name.encode())
    images = [rated_image(tmp_path / name) for name in ("a.png", "b.png")]
    fill_label_page(tmp_path / "page", images)
    (tmp_path / "page" / "images" / f"{images[0].image_id}.png").unlink()
    with opened(browser, tmp_path / "page" / "index.html") as found:
        tab = found.page
        start(tab, "Ann")
        for _ in images:
            tab.wait_for_selector("#shown:not(.waiting), #lost:visible")
            lost = tab.locator("#lost").is_visible()
            tab.keyboard.press("0" if lost else "4")
        _, rows = saved(tab, tmp_path)
    assert {row["image_id"]: row["rating"] for row in rows} == {
        images[0].image_id: "",
        images[1].image_id: "4",
    }
