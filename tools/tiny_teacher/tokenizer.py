"""The tiny teacher's tokenizer: byte-level BPE in Qwen's manner, trained on a page of English.

Any text can be encoded, since all 256 bytes are tokens. The words the prompts answer with are
single tokens because they are frequent in the text below.
"""

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from annotate.prompts import IMAGE_PART, Prompt

MERGED_VOCAB_SIZE = 500
"""Tokens before the special ones: 256 bytes and what the merges add."""

END_OF_TEXT = "<|endoftext|>"
IMAGE_TOKEN = "<IMG_CONTEXT>"
SPECIAL_TOKENS = (
    END_OF_TEXT,
    "<|im_start|>",
    "<|im_end|>",
    "<img>",
    "</img>",
    IMAGE_TOKEN,
    "<video>",
)

# Letters with the blank before them, digits one by one, punctuation, line ends, blanks: pieces
# within which BPE merges, so " good" can become one token and "is good" cannot.
PIECES = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

LEVEL_SENTENCES = (
    "The quality of the image is {word}.",
    "This photograph is {word} and that one is not.",
    "A {word} picture was taken in the morning.",
    "Nobody said that the light was {word}.",
)

SENTENCES = (
    "user assistant system",
    "The first image is sharper than the second image.",
    "Which of the two photographs would you rather keep? The first one, because it is sharp.",
    "Blur, noise and compression lower the visual quality of a picture.",
    "Rate the sharpness, the contrast and the colours of this photograph.",
    "How good is the picture? It looks clear and bright, with fine detail in the leaves.",
    "Please answer with one word or with the letter of the option.",
    "The camera moved, so the edges of the houses are soft.",
    "Small blocks can be seen in the sky after strong compression.",
    "A good photograph has detail in the shadows and no noise.",
)


def train_tokenizer(prompts: tuple[Prompt, ...]) -> PreTrainedTokenizerFast:
    """Train the tokenizer on the prompts, their answers and a few sentences.

    Returns:
        a tokenizer that names its image tokens as InternVL's processor wants them.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=MERGED_VOCAB_SIZE,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_text(prompts), trainer)
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token=END_OF_TEXT,
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
        extra_special_tokens={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": IMAGE_TOKEN,
            "video_token": "<video>",
        },
    )


def _training_text(prompts: tuple[Prompt, ...]) -> list[str]:
    parts = [part for prompt in prompts for part in (*prompt.parts, prompt.stem)]
    words = [label.spellings[0].strip() for prompt in prompts for label in prompt.labels]
    levels = [sentence.format(word=word) for word in words for sentence in LEVEL_SENTENCES]
    return [*(part for part in parts if part != IMAGE_PART), *(levels * 5), *SENTENCES]
