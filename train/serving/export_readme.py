"""README.md of an exported folder, for whoever finds the folder and not this project."""

from typing import Any

_MEASURES = ("n", "srcc", "plcc", "rmse", "bias")

_PAGE = """\
# {name}: an image quality student

A {architecture} that scores images: 0 is the worst quality and 1 the best, on the scale of
people's mean opinions; a score may lie a little outside. Input: {crop_px} x {crop_px} px, RGB.

| File | Holds |
| --- | --- |
| `model.safetensors` | the network's weights, under timm's names |
{head_row}{onnx_row}\
| `config.json` | the architecture, as timm reads it |
| `preprocessing.json` | how an image becomes the network's input |
| `calibration.json` | from the network's output to people's scale, and how it was fitted |
| `provenance.json` | teacher, evidence, labels, measured quality, versions |

{quality}{interval}
## With torch, timm, safetensors and Pillow

```python
{load}```

`load("this/folder")("photo.jpg")` is the score. {agreement}

{onnx}"""

_ONNX = """\
## With onnxruntime

```python
{snippet}```

`model.onnx` takes `pixels`, (batch, 3, {crop_px}, {crop_px}) uint8, RGB as in the file, and gives
`score`, (batch,) float32. Normalisation and calibration are inside. It was compared with PyTorch
on {compared_on}: the largest difference was {largest:.2g}.
"""

_AGREEMENT = (
    "Both ways give the score of `train predict` to 1e-4 for 8-bit colour and grey images;"
    " transparent and 16-bit ones, which `train predict` lays over white and scales to 8 bits,"
    " and images with a palette must be converted first."
)


def export_readme(
    config: dict[str, Any],
    calibration: dict[str, Any],
    provenance: dict[str, Any],
    *,
    load: str,
    onnx: str,
) -> str:
    """The page.

    Args:
        config: config.json.
        calibration: calibration.json.
        provenance: provenance.json.
        load: the text that loads the student with timm.
        onnx: the text that loads the ONNX model.
    """
    crop_px = config["pretrained_cfg"]["input_size"][-1]
    parity = provenance["onnx_parity"]
    own_head = config["num_classes"] == 0
    return _PAGE.format(
        name=provenance["student"],
        architecture=config["architecture"],
        crop_px=crop_px,
        head_row="| `score_head.safetensors` | weights of the score head |\n" if own_head else "",
        onnx_row="| `model.onnx` | all of it as ONNX |\n" if parity else "",
        quality=_quality(provenance["measured_quality"], provenance["labels"]["count"]),
        interval=_interval(calibration["interval"]),
        load=load,
        agreement=_AGREEMENT if parity else _AGREEMENT.replace("Both ways give", "It gives"),
        onnx=_ONNX.format(
            snippet=onnx,
            crop_px=crop_px,
            compared_on=parity["compared_on"],
            largest=parity["largest_difference"],
        )
        if parity
        else "",
    )


def _quality(row: dict[str, Any] | None, labels: int) -> str:
    trained = f"It was calibrated on {labels} opinions." if labels else "No opinion was used."
    if row is None or not row.get("n"):
        return f"{trained} Its quality was not measured.\n"
    head = " | ".join(_MEASURES)
    cells = " | ".join(_cell(row.get(name)) for name in _MEASURES)
    rule = " | ".join("---:" for _ in _MEASURES)
    table = f"| {head} |\n| {rule} |\n| {cells} |\n"
    return f"{trained} On held-out images of its own data set:\n\n{table}"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _interval(interval: dict[str, float] | None) -> str:
    if interval is None:
        return ""
    return (
        f"\nThe opinion of people lies within ±{interval['half_width']:.3f} of the score for"
        f" {interval['coverage']:.0%} of images like those it was calibrated on.\n"
    )
