"""What a command looks like: in colour, without, narrow, wide, in a pipe, in another encoding."""

import json
import re
import subprocess

import pytest
from PIL import Image

from data_store.images.importer import add_images
from data_store.layout import create_store
from data_store.terminal import printable
from tests.terminal.conftest import BIN, environment

ESCAPE = "\x1b"
QUERY = "select name from images order by name"


@pytest.fixture(scope="module")
def oddly_named(tmp_path_factory):
    """A store of pictures whose names are letters, mark-up and escape codes."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "images").mkdir()
    for number, name in enumerate(("[red]a.png", "画像.png", "esc\x1b[31m.png", "ü.png")):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(folder / "images" / name)
    store = create_store(folder / "store")
    add_images(store, folder / "images")
    return store.root


def piped(*words, **changes):
    done = subprocess.run(
        [BIN / words[0], *map(str, words[1:])],
        capture_output=True,
        env=environment(**changes),
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_an_error_has_colours_on_a_terminal(on_terminal):
    seen = on_terminal("store", "status", "--store", "/nowhere")
    assert seen.code == 2
    assert ESCAPE in seen.text
    assert plain(seen.text).startswith(
        "error: there is no store here\n  where: /nowhere\n  fix:   "
    )


@pytest.mark.parametrize("changes", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_refused(on_terminal, changes):
    assert ESCAPE not in on_terminal("store", "status", "--store", "/nowhere", **changes).text


def test_a_pipe_gets_no_escape_code_but_by_force(oddly_named):
    for words in (("sql", QUERY, "--store", oddly_named), ("--help",), ("statsu",)):
        _, out, err = piped("store", *words)
        assert ESCAPE.encode() not in out + err
    _, _, err = piped("store", "statsu", FORCE_COLOR="1")
    assert ESCAPE.encode() in err
    _, _, err = piped("store", "statsu", FORCE_COLOR="1", NO_COLOR="1")
    assert ESCAPE.encode() not in err


def test_names_are_shown_as_they_are_and_do_nothing(on_terminal, oddly_named):
    seen = on_terminal("store", "sql", QUERY, "--store", oddly_named)
    assert "[red]a.png" in seen.text
    assert "画像.png" in seen.text
    assert r"esc\x1b[31m.png" in seen.text
    assert printable("a\tb\nc\x07\x9b") == "a\tb\nc\\x07\\x9b"


@pytest.mark.parametrize("columns", [80, 200])
def test_a_table_fits_the_terminal(on_terminal, oddly_named, columns):
    words = ("sql", "select image_id, path, group_id from images", "--store", oddly_named)
    lines = plain(on_terminal("store", *words, columns=columns).text).splitlines()
    assert max(map(len, lines)) <= columns
    assert len(lines) > 5


def test_a_wide_table_comes_in_parts_and_no_number_is_broken(on_terminal, oddly_named):
    columns = ", ".join(f"{place}.125::double as a_long_name_{place}" for place in range(12))
    words = ("sql", f"select name, {columns} from images", "--store", oddly_named)
    narrow = plain(on_terminal("store", *words, columns=80).text)
    assert all(f" {place}.1250 " in narrow for place in range(12))
    assert all(f" a_long_name_{place} " in narrow for place in range(12))
    assert narrow.count("ü.png") > 1
    assert max(map(len, narrow.splitlines())) <= 80
    assert plain(on_terminal("store", *words, columns=300).text).count("ü.png") == 1


def test_long_text_is_wrapped_beside_numbers(on_terminal, oddly_named):
    text = "a sentence with spaces that is longer than a terminal is wide, as reasons often are"
    words = ("sql", f"select 7 as number, '{text}' as reason", "--store", oddly_named)
    seen = plain(on_terminal("store", *words, columns=60).text)
    assert all(word in seen for word in text.split())
    assert max(map(len, seen.splitlines())) <= 60
    assert seen.count("number") == 1


@pytest.mark.parametrize(
    ("encoding", "changes"),
    [
        ("cp1252", {"PYTHONIOENCODING": "cp1252"}),
        ("ascii", {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}),
    ],
)
def test_an_encoding_without_the_letters_is_no_reason_to_fail(oddly_named, encoding, changes):
    changes = {**changes, "PYTHONUTF8": "0"}
    code, out, err = piped("store", "sql", QUERY, "--store", oddly_named, **changes)
    assert code == 0, err
    assert r"\u753b\u50cf.png" in out.decode(encoding)
    code, out, _ = piped("store", "sql", QUERY, "--store", oddly_named, "--json", **changes)
    names = {row["name"] for row in json.loads(out.decode(encoding))}
    assert {"画像.png", "ü.png"} <= names
    code, out, _ = piped("store", "status", "--store", oddly_named, "--json", **changes)
    json.loads(out.decode(encoding))
    assert piped("store", "--help", **changes)[0] == 0


def test_a_long_job_shows_a_bar_on_a_terminal_and_a_line_in_a_pipe(on_terminal, oddly_named):
    words = ("store", "verify", "--store", oddly_named)
    seen = on_terminal(*words, columns=100)
    assert "shards/s" in plain(seen.text)
    _, _, err = piped(*words)
    assert re.search(rb"verify: (\d+) of \1 shards, [\d.]+ shards/s, 0 s left", err)
    dumb = on_terminal(*words, TERM="dumb").text
    assert ESCAPE not in dumb
    assert "s left" in dumb
