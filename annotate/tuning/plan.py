"""What a tuning would do: images, passes, and the checkpoint it would leave. Nothing is loaded."""

from pathlib import Path

from annotate.prompts import Prompt
from annotate.teachers.teacher import Teacher
from annotate.tuning.checkpoint import FOLDER
from annotate.tuning.record import RUN_FILE, record_tuning
from annotate.tuning.settings import TuneSettings
from annotate.tuning.tune import SUMMARY_FILE, checked
from data_store.layout import Store
from data_store.plans import Figure, Plan


def tune_plan(
    store: Store, teacher: Teacher, prompt: Prompt, folder: Path, settings: TuneSettings
) -> Plan:
    """What `annotate tune` would do. Raises as it does before it loads the weights."""
    question, _, data = checked(store, teacher, prompt, settings)
    if (folder / RUN_FILE).exists():  # then the record is compared, and not written
        ids = {"teacher_id": teacher.teacher_id, "prompt_id": question.prompt_id}
        record_tuning(folder, settings, store, data, **ids)
    planned = settings.epochs * len(data.labelled)
    finished = (folder / SUMMARY_FILE).exists()
    notes = []
    if not finished and (folder / FOLDER).exists():
        notes.append("an unfinished tuning is there: it would go on from its last checkpoint")
    weights = sum(path.stat().st_size for path in teacher.checkpoint.glob("*.safetensors"))
    return Plan(
        "annotate tune",
        "image passes",
        0 if finished else planned,
        planned if finished else 0,
        Figure(None, "nothing is known of the speed of this machine before the first pass"),
        Figure(float(weights), "the weights of the teacher, once more"),
        {
            "teacher": teacher.spec.name,
            "labelled": len(data.labelled),
            "held_out": len(data.held_out),
            "epochs": settings.epochs,
            "finished": finished,
        },
        tuple(notes),
    )
