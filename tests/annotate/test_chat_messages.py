"""Messages are found that a checkpoint's template turns into the very text that was meant."""

import pytest

from annotate.prompts import shipped_prompt
from annotate.teachers.chat_messages import chat_question
from schemas.errors import TeacherMissing
from tests.annotate import tiny_qwen

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers' own

THINKING = """\
{%- for m in messages -%}<|im_start|>{{ m.role }}
{% if m.role == "assistant" and loop.last %}{{ "<think>\\n\\n</think>\\n\\n" }}{% endif -%}
{%- if m.content is string -%}{{ m.content }}{%- else -%}
{%- for p in m.content -%}{{ "<IMG_CONTEXT>\\n" if p.type == "image" else p.text }}{%- endfor -%}
{%- endif -%}{{ "<|im_end|>\\n" }}{%- endfor -%}
{%- if add_generation_prompt -%}{{ "<|im_start|>assistant\\n" }}
{%- if not enable_thinking -%}{{ "<think>\\n\\n</think>\\n\\n" }}{%- endif -%}{%- endif -%}"""
TEMPLATES = {
    "tiny": "",
    "thought before the last answer": THINKING,
    "thought in the prompt alone": THINKING.replace(" and loop.last", " and false"),
    "Qwen3-VL": tiny_qwen.TEMPLATE,
}


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("kind", ["point", "pair"])
@pytest.mark.parametrize("begun", ["", " ex", "A"])
def test_messages_render_to_the_very_text_they_stand_for(
    tiny_teacher, monkeypatch, template, kind, begun
):
    if TEMPLATES[template]:
        monkeypatch.setattr(tiny_teacher.processor, "chat_template", TEMPLATES[template])
    prompt = shipped_prompt(kind)
    text = tiny_teacher.read(prompt).spec.text + begun
    question = chat_question(text, tiny_teacher.processor)
    assert not question.verbatim
    assert question.parts.count(None) == prompt.image_count
    how = question.rendering()
    how |= how.pop("chat_template_kwargs")
    images = [{"type": "image"}] * prompt.image_count
    rendered = tiny_teacher.processor.apply_chat_template(
        question.messages(images), tokenize=False, **how
    )
    assert rendered == text


def test_what_no_messages_give_is_sent_as_it_is(tiny_teacher, point_prompt):
    # An answer that no role of a template begins.
    text = tiny_teacher.read(point_prompt).spec.text.replace("assistant", "expert")
    question = chat_question(text, tiny_teacher.processor)
    assert question.rendering()["chat_template_kwargs"] == {"question": text}
    assert question.messages([{"type": "image"}])[0]["content"] == [{"type": "image"}]


def test_a_text_of_another_template_is_refused(tiny_teacher):
    with pytest.raises(TeacherMissing, match="not in the form of the checkpoint's chat template"):
        chat_question("USER: <image> hello ASSISTANT:", tiny_teacher.processor)
