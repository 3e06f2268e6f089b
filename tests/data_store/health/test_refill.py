import pytest

from data_store.health.refill import refill_command


@pytest.mark.parametrize(
    ("table", "producer", "command"),
    [
        ("points", "annotate readout apply", "annotate readout apply --readout FOLDER"),
        ("points", "annotate import", "annotate import FILE --map …"),
        ("points", "vllm 0.32.0, float32 on cpu", "annotate points --model"),
        ("embeddings", "vllm 0.32.0, float32 on cpu", "annotate embed --model"),
    ],
)
def test_a_lost_shard_is_refilled_by_the_command_that_wrote_it(store, table, producer, command):
    said = refill_command(store, table, producer=producer, teacher_id="0" * 64, teachers={})
    assert said.startswith(command)
    assert said.endswith(str(store.address))
