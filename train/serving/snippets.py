"""Python text that goes into an exported folder's README: how to use the student without us.

The text is made for the student at hand, so that it holds no case that does not occur. The tests
run it where this package cannot be imported.
"""

from train.calibration.mapping import Kind
from train.score_head import VARIANCE_FLOOR
from train.student import Student

_PICTURE = '''\
def picture(path, how):
    """The centre of an image, as the student was trained to see it."""
    image = Image.open(path)
    crop, short = how["crop_px"], min(image.size)
    wanted = max(how["short_side_px"] or short, crop)
    if how["short_side_px"]:  # large images shrink by a whole factor while they are decoded
        room = [2 * max(wanted, round(side * wanted / short)) for side in image.size]
        image.draft(None, room)
        factor = min(image.width // room[0], image.height // room[1])
        if factor > 1 and image.mode in ("L", "RGB", "CMYK"):
            image = image.reduce(factor)
    image = ImageOps.exif_transpose(image).convert("RGB")
    short = min(image.size)
    size = [max(wanted, round(side * wanted / short)) for side in image.size]
    left, top = ((side - crop) // 2 for side in size)
    x, y = (side / wanted for side, wanted in zip(image.size, size, strict=True))
    box = (left * x, top * y, (left + crop) * x, (top + crop) * y)
    return image.resize((crop, crop), Image.Resampling.BICUBIC, box=box)
'''

_LOAD = '''\
import json
from pathlib import Path

import timm
import torch
from PIL import Image, ImageOps
{imports}

{picture}

def load(folder):
    """A function from the path of an image to its score: 0 is the worst quality, 1 the best."""
    folder = Path(folder)
    how = json.loads((folder / "preprocessing.json").read_text())
    mean, std = (255 * torch.tensor(how[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    network = timm.create_model(f"local-dir:{{folder}}", pretrained=True).eval()
{prepare}
    @torch.inference_mode()
    def score(path):
        image = picture(path, how)
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        pixels = pixels.view(1, *image.size, 3).permute(0, 3, 1, 2)
{score}
    return score
'''

_ONNX = '''\
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


{picture}

def load_onnx(folder):
    """A function from the path of an image to its score: 0 is the worst quality, 1 the best."""
    folder = Path(folder)
    how = json.loads((folder / "preprocessing.json").read_text())
    session = onnxruntime.InferenceSession(folder / "model.onnx")

    def score(path):
        pixels = np.asarray(picture(path, how)).transpose(2, 0, 1)[None]
        return float(session.run(["score"], {{"pixels": pixels}})[0][0])

    return score
'''

_MAPPINGS: dict[Kind, str] = {
    "identity": "return raw",
    "linear": "scale, shift = curve\nreturn scale * raw + shift",
    "logistic": (
        "low, span, centre, width, slope = curve\n"
        "rise = torch.tensor((raw - centre) / width, dtype=torch.float64).sigmoid().item()\n"
        "return low + span * rise + slope * raw"
    ),
    "piecewise": (
        "before, after, *points = curve\n"
        "x, y = points[: len(points) // 2], points[len(points) // 2 :]\n"
        "i = bisect_right(x, raw)\n"
        "if i == 0:\n"
        "    return y[0] + before * (raw - x[0])\n"
        "if i == len(x):\n"
        "    return y[-1] + after * (raw - x[-1])\n"
        "return y[i - 1] + (y[i] - y[i - 1]) * (raw - x[i - 1]) / (x[i] - x[i - 1])"
    ),
}


def load_snippet(student: Student, kind: Kind, *, map_ndim: int) -> str:
    """Text that defines `load(folder)`; it needs torch, timm, safetensors and Pillow.

    Args:
        student: decides which head there is.
        kind: of the mapping from raw scores to the scale of people's opinions.
        map_ndim: dimensions of what the network's `forward_features` gives.
    """
    imports, prepare = [], []
    if kind == "piecewise":
        imports.append("from bisect import bisect_right")
    if kind != "identity":
        prepare.append(
            'curve = json.loads((folder / "calibration.json").read_text())["mapping"]["parameters"]'
        )
    if student.score_head is None:
        score = ["raw = network((pixels - mean) / std).item()"]
    else:
        imports.append("from safetensors.torch import load_file")
        prepare.append('head = load_file(folder / "score_head.safetensors")')
        score = _pooling_lines(student, map_ndim) + _head_lines(student)
        if student.score_head.hidden is not None:
            imports.append("from torch.nn.functional import gelu, layer_norm")
    score += _MAPPINGS[kind].split("\n")
    return _LOAD.format(
        imports="".join(f"{line}\n" for line in imports),
        picture=_PICTURE,
        prepare="".join(f"    {line}\n" for line in prepare),
        score="".join(f"        {line}\n" for line in score),
    )


def onnx_snippet() -> str:
    """Text that defines `load_onnx(folder)`; it needs onnxruntime, numpy and Pillow."""
    return _ONNX.format(picture=_PICTURE)


def _pooling_lines(student: Student, map_ndim: int) -> list[str]:
    found = "found = network.forward_features((pixels - mean) / std)"
    if student.pooling == "backbone":
        return [found, "features = network.forward_head(found, pre_logits=True)"]
    network = student.network
    if map_ndim == 3:
        found += f"[:, {getattr(network, 'num_prefix_tokens', 0)}:].transpose(1, 2)"
    elif getattr(network, "output_fmt", "NCHW") == "NHWC":
        found += ".permute(0, 3, 1, 2)"
    return [
        found,
        "variance, average = torch.var_mean(found.flatten(2), dim=2, correction=0)",
        f"features = torch.cat([average, (variance + {VARIANCE_FLOOR:g}).sqrt()], dim=1)",
    ]


def _head_lines(student: Student) -> list[str]:
    lines = [
        'z = (features - head["centre"]) / head["spread"]',
        'raw = (z @ head["linear.weight"].T + head["linear.bias"]).item()',
    ]
    if student.score_head is not None and student.score_head.hidden is not None:
        lines += [
            'z = layer_norm(z, z.shape[1:], head["hidden.0.weight"], head["hidden.0.bias"])',
            'z = gelu(z @ head["hidden.1.weight"].T + head["hidden.1.bias"])',
            'raw += (z @ head["hidden.3.weight"].T).item()',
        ]
    return lines
