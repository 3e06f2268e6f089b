"""The story of `train report`: read runs and sweeps, lay out the page, write it and its plots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_store.layout import MARKER
from data_store.pages.blocks import Block, Cell, Figure, Grid, Note, Page, Section
from data_store.pages.charts import write_figures
from data_store.pages.page import write_page
from schemas.errors import InputError
from train.report.ablation import ablation
from train.report.calibration import calibration
from train.report.label_efficiency import label_efficiency
from train.report.mistakes import mistakes
from train.report.overview import overview
from train.report.provenance import provenance
from train.report.read_run import ReadRun, read_runs
from train.report.read_sweep import ReadSweep, is_sweep, read_sweep
from train.report.residuals import residuals
from train.report.teacher_gap import teacher_gap
from train.report.training import training

HTML = (".html", ".htm")

Part = tuple[str, str, str, Callable[[list[ReadRun]], list[Block]]]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a report is about, and where it goes."""

    folders: Sequence[Path]
    """Of runs and sweeps."""
    out: Path
    store: str = ""
    """Where the runs left their scores; empty for the store that each names itself."""
    plots: Path | None = None
    """Folder for each figure as PNG, SVG and CSV."""


@dataclass(frozen=True, slots=True)
class Written:
    """What came of it."""

    out: Path
    size: int
    """Bytes."""
    page: Page
    runs: list[ReadRun]
    sweeps: list[ReadSweep]
    plots: list[Path]

    @property
    def notes(self) -> list[str]:
        """What is missing from the page, and why."""
        return [note for run in self.runs for note in run.notes]


def default_out(folders: Sequence[Path]) -> Path:
    """In the current folder, named for the first run or sweep."""
    return Path(f"{folders[0].resolve().name}-report.html")


def write_report(wish: Wish) -> Written:
    """Write the page; one of that name is replaced.

    Raises:
        InputError: a folder holds neither run nor sweep, its files are damaged, or the page
            cannot be written there.
    """
    out = _target(wish.out)
    if wish.plots is not None:
        _refuse_store(wish.plots, "--plots")
    sweeps = [read_sweep(folder) for folder in wish.folders if is_sweep(folder)]
    folders = [folder for folder in wish.folders if not is_sweep(folder)]
    runs = read_runs(folders, store=wish.store)
    page = report_page(runs, sweeps, store=wish.store)
    try:
        size = write_page(page, out)
        plots = write_figures(page.figures(), wish.plots) if wish.plots is not None else []
    except OSError as error:
        raise InputError(
            f"the report cannot be written: {error.strerror}",
            where=error.filename or out,
            fix="give --out and --plots places where you may write",
        ) from error
    return Written(out, size, page, runs, sweeps, plots)


def report_page(runs: list[ReadRun], sweeps: list[ReadSweep], *, store: str = "") -> Page:
    """Lay the page out; parts about which nothing is known are left out."""
    names = [run.name for run in runs] + [sweep.name for sweep in sweeps]
    sections = [
        Section(name, title, blocks, reading)
        for name, title, reading, part in _PARTS
        if (blocks := part(runs))
    ]
    labels = label_efficiency(runs, [sweep.folder for sweep in sweeps])
    if labels:
        place = next((i for i, one in enumerate(sections) if one.name == "look"), len(sections))
        sections.insert(place, Section("labels", "How many labels", labels, _LABELS))
    for number, sweep in enumerate(sweeps, start=1):
        blocks = ablation(sweep, number, store=store)
        section = Section(f"sweep-{number}", f"Ablation: {sweep.name}", blocks, _ABLATION)
        place = next((i for i, one in enumerate(sections) if one.name == "look"), len(sections))
        sections.insert(place, section)
    sections = [
        section._replace(blocks=_tidied(section.blocks, alone=len(names) == 1))
        for section in sections
    ]
    notes = [Note(note) for run in runs for note in run.notes]
    if notes:
        sections.insert(0, Section("missing", "What is missing here", notes))
    return Page(
        f"Student report: {', '.join(names)}", _lead(runs, sweeps), _facts(runs, sweeps), sections
    )


def _tidied(blocks: Sequence[Block], *, alone: bool) -> list[Block]:
    """Without figures of nothing, and without columns that name the only run in every row."""
    kept: list[Block] = []
    for block in blocks:
        if isinstance(block, Figure) and not block.rows.num_rows:
            continue
        if isinstance(block, Grid) and alone and block.columns[0] == "run":
            rows = [row[1:] for row in block.rows]
            kept.append(block._replace(columns=block.columns[1:], rows=rows))
        else:
            kept.append(block)
    return kept


def _lead(runs: list[ReadRun], sweeps: list[ReadSweep]) -> str:
    told = []
    if runs:
        told.append("one run" if len(runs) == 1 else f"{len(runs)} runs side by side")
    if sweeps:
        told.append("a sweep" if len(sweeps) == 1 else f"{len(sweeps)} sweeps")
    return (
        f"What came of {' and '.join(told)}. Everything is measured on held-out images: groups of"
        " images that neither distillation nor calibration has seen. Scores and opinions are on"
        " the scale from 0 (bad) to 1 (excellent)."
    )


def _facts(runs: list[ReadRun], sweeps: list[ReadSweep]) -> list[tuple[str, Cell]]:
    facts: list[tuple[str, Cell]] = []
    for run in runs:
        record, git = run.record, run.record.get("git") or {}
        commit = f"{str(git.get('commit', ''))[:10]}{'' if git.get('clean', True) else ', changed'}"
        told: list[tuple[str, Cell]] = [
            ("student", record["settings"].get("student", {}).get("backbone")),
            ("teacher", ", ".join(run.teachers)),
            ("trained", str(record.get("created", ""))[:10] or None),
            ("commit", commit or None),
        ]
        if len(runs) > 1:
            told = [(run.name, ", ".join(str(value) for _, value in told if value))]
        facts += told
    for sweep in sweeps:
        failed = sum(bool(cell.error) for cell in sweep.cells)
        facts += [
            (f"{sweep.name}: cells", len(sweep.cells)),
            (f"{sweep.name}: failed", failed),
            (f"{sweep.name}: variants", len(sweep.variants)),
        ]
    return facts


_LABELS = (
    "Human opinions are dear. These curves say what each further share of them brings, with the"
    " teacher's knowledge and without it."
)
_ABLATION = (
    "A sweep changes one thing at a time. Read the differences before the means: all variants"
    " were tested on the same images, so what those images have in common cancels out."
)

_PARTS: tuple[Part, ...] = (
    (
        "overview",
        "Overview",
        "label_free has learnt from the teacher alone; leaf_10 was then calibrated on 10 % of the"
        " training images with opinions; cft_only_10 had the same labels and no teacher. The"
        " teacher itself is judged on the same images.",
        overview,
    ),
    (
        "scale",
        "Before and after calibration",
        "Distillation teaches the order of images on the teacher's scale; calibration brings the"
        " scores to people's. It should turn the cloud onto the line and leave it no wider.",
        calibration,
    ),
    (
        "errors",
        "Errors",
        "Score less opinion, image by image. An error of 0.25 is one step of a five-point scale.",
        residuals,
    ),
    (
        "look",
        "Look for yourself",
        "Figures say how often a student errs, pictures say on what.",
        mistakes,
    ),
    (
        "learning",
        "Training",
        "Losses of different stages are different things and not to be compared in height.",
        training,
    ),
    (
        "gap",
        "Beside the teacher",
        "How much of the teacher has arrived in the student, and whether that costs agreement with"
        " people.",
        teacher_gap,
    ),
    (
        "provenance",
        "Provenance",
        "What it takes to get these figures again.",
        provenance,
    ),
)


def _target(out: Path) -> Path:
    """Refuse before any work is done what would replace something that is no report."""
    problem = ""
    if out.suffix.lower() not in HTML:
        problem = f"a report is a file that ends in .html, not {out.suffix or 'without a suffix'}"
    elif out.is_dir():
        problem = "there is a folder of that name"
    if problem:
        raise InputError(problem, where=f"--out {out}", fix="give --out the name of a file")
    _refuse_store(out, "--out")
    return out


def _refuse_store(path: Path, option: str) -> None:
    inside = path.expanduser().resolve()
    if any((folder / MARKER).is_file() for folder in (inside, *inside.parents)):
        raise InputError(
            "this lies inside a store, which holds nothing but what the store wrote",
            where=f"{option} {path}",
            fix="give a place outside of it",
        )
