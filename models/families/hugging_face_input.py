"""Input of a checkpoint of Hugging Face: size, resize, crop and scaling, read from its own processor."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any, Literal

from vidcam.errors import InputError
from vidcam.foreign import first_line
from vidcam.models.extras import import_extra
from vidcam.models.families.hugging_face_files import CheckpointFiles
from vidcam.spec import Scaling

_FILES = ("processor_config.json", "video_preprocessor_config.json", "preprocessor_config.json")
_FILTERS: dict[int, Literal["bilinear", "bicubic"]] = {2: "bilinear", 3: "bicubic"}


def read_processor(files: CheckpointFiles) -> Any:
    """Make the processor of a checkpoint: its video processor if the checkpoint names one, else its image processor.

    Raises:
        InputError: the checkpoint has none, or it cannot be made.
    """
    transformers = import_extra("transformers", extra="hf", model=files.model)
    texts = [path.read_text("utf-8") for name in _FILES if (path := files.folder / name).is_file()]
    if not texts:
        raise InputError(f"model {files.model!r} has no preprocessor_config.json: how frames are scaled is not known")
    is_video = any('"video_processor' in text for text in texts)
    kind = transformers.AutoVideoProcessor if is_video else transformers.AutoImageProcessor
    try:
        return kind.from_pretrained(files.folder, local_files_only=True, trust_remote_code=False)
    except Exception as exc:  # transformers raises anything
        raise InputError(f"the processor of {files.model!r} cannot be made: {first_line(exc)}") from exc


def input_settings(processor: Any, model: str) -> dict[str, Any]:
    """Read the fields of a `ModelSpec` that a processor states; `frames` and `fps` are None if it does not.

    Raises:
        InputError: the processor does something that a `ModelSpec` cannot say.
    """
    resize = _resize(processor, model)
    if getattr(processor, "do_center_crop", False):
        crop_size = _height_and_width(processor.crop_size)
    else:
        crop_size = resize if isinstance(resize, tuple) else None
    filter_number = int(getattr(processor, "resample", None) or 2)
    if crop_size is None or filter_number not in _FILTERS:
        problem = f"resamples with filter {filter_number}" if crop_size else "gives frames of different sizes"
        raise InputError(f"the processor of {model!r} {problem}; load the model yourself and pass its ModelSpec")
    rate = getattr(processor, "fps", None)
    return {
        "frames": getattr(processor, "num_frames", None),
        "fps": Fraction(rate).limit_denominator(1001) if rate else None,
        "resize": resize,
        "crop_size": crop_size,
        "interpolation": _FILTERS[filter_number],
        "resampler": "torchvision" if hasattr(processor, "backend") or _is_video(processor) else "pillow",
        "scaling": _scaling(processor),
    }


def _is_video(processor: Any) -> bool:
    return any(kind.__name__ == "BaseVideoProcessor" for kind in type(processor).__mro__)


def _resize(processor: Any, model: str) -> tuple[int, int] | int:
    """Return the resize rule, as in `ModelSpec`."""
    size = processor.size
    exact, edge = _height_and_width(size), _item(size, "shortest_edge")
    if getattr(processor, "do_resize", False) and (exact or (edge and not _item(size, "longest_edge"))):
        return exact or int(edge)
    raise InputError(
        f"the processor of {model!r} resizes to {json.dumps(dict(size))}, expected height and width, or shortest_edge; "
        f"load the model yourself and pass its ModelSpec"
    )


def _height_and_width(size: Any) -> tuple[int, int] | None:
    if isinstance(size, int):
        return size, size
    height, width = _item(size, "height"), _item(size, "width")
    return (int(height), int(width)) if height and width else None


def _item(size: Any, name: str) -> Any:
    return size.get(name) if isinstance(size, dict) else getattr(size, name, None)


def _scaling(processor: Any) -> Scaling:
    """Turn y = (x·factor - offset - mean) / std into (x - mean') / std'."""
    factor = processor.rescale_factor if processor.do_rescale else 1.0
    is_offset = processor.do_rescale and (
        getattr(processor, "offset", False) or type(processor).__name__ == "VivitVideoProcessor"
    )
    means, stds = _three(processor.image_mean), _three(processor.image_std)
    if not processor.do_normalize:
        means, stds = (0.0,) * 3, (1.0,) * 3
    mean = tuple((mean + (1.0 if is_offset else 0.0)) / factor for mean in means)
    std = tuple(std / factor for std in stds)
    channels: Literal["rgb", "bgr"] = "bgr" if getattr(processor, "do_flip_channel_order", False) else "rgb"
    return Scaling((mean[0], mean[1], mean[2]), (std[0], std[1], std[2]), channels)


def _three(values: Any) -> tuple[float, ...]:
    return (float(values),) * 3 if isinstance(values, int | float) else tuple(float(value) for value in values)
