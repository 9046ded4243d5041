"""Video networks of Hugging Face's transformers, from a folder or the hub: 'hf:FOLDER', 'hf:owner/name'.

Classes and frames come from the checkpoint's config.json, size and scaling from its processor. Only safetensors are
loaded, and no code of a checkpoint is run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcam.errors import InputError, WeightsError
from vidcam.foreign import first_line
from vidcam.models.entry import ModelEntry
from vidcam.models.extras import import_extra
from vidcam.models.families.hugging_face_files import CheckpointFiles, find_files, quiet
from vidcam.models.families.hugging_face_input import input_settings, read_processor
from vidcam.models.families.hugging_face_layers import ARCHITECTURES, UNKNOWN, frames_of
from vidcam.models.labels import check_labels, read_labels
from vidcam.spec import ModelSpec
from vidcam.system.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor, nn

_TEXT_MODELS = ("clip", "xclip")

Finish = Callable[["nn.Module"], "nn.Module"]
"""Makes a classifier of clips of transformers' network."""


def entry(name: str, labels: str | Path | Sequence[str] | None = None) -> ModelEntry:
    """Make the entry of a checkpoint. This imports transformers, and fetches settings from the hub, but no weights.

    Args:
        name: a folder, or 'owner/name' of the hub, or 'owner/name@revision'.
        labels: for a network that compares videos with texts, the texts or the file that lists them. Else ignored.

    Raises:
        InputError: transformers is missing, the settings cannot be read, or texts are missing.
        WeightsError: the settings cannot be downloaded.
    """
    files = find_files(name)
    config = _read_config(files)
    if config.model_type in _TEXT_MODELS:
        names = _texts(files, labels)
        tokens = _tokens(files, names, config.text_config.max_position_embeddings)
        finish: Finish = partial(_text_classes, config=config, tokens=tokens)
    else:
        _expect_video_classifier(files, config)
        names = tuple(str(config.id2label[index]) for index in range(config.num_labels))
        finish = partial(_video_classes, config=config)
    return ModelEntry(
        _spec(files, config, len(names)),
        build=partial(_build, files, config, finish),
        load=None,
        labels=lambda: names,
        load_file=_load_file,
        load_network=partial(_load, name, config, finish),
    )


def _read_config(files: CheckpointFiles) -> Any:
    transformers = import_extra("transformers", extra="hf", model=files.model)
    try:
        return transformers.AutoConfig.from_pretrained(files.folder, local_files_only=True, trust_remote_code=False)
    except Exception as exc:  # transformers raises anything
        raise InputError(f"config.json of {files.model!r} cannot be read: {first_line(exc)}") from exc


def _expect_video_classifier(files: CheckpointFiles, config: Any) -> None:
    transformers = import_extra("transformers", extra="hf", model=files.model)
    if type(config) not in transformers.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING:
        raise InputError(
            f"model {files.model!r} is of type {config.model_type!r}, which classifies no videos; known are "
            f"{', '.join(kind.model_type for kind in transformers.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING)}, "
            f"{', '.join(_TEXT_MODELS)}"
        )


def _texts(files: CheckpointFiles, labels: str | Path | Sequence[str] | None) -> tuple[str, ...]:
    if labels is None:
        raise InputError(
            f"model {files.model!r} compares videos with texts: pass --labels texts.txt or labels=[...], one a class"
        )
    return read_labels(Path(labels)) if isinstance(labels, str | Path) else check_labels(labels, len(labels))


def _tokens(files: CheckpointFiles, texts: Sequence[str], most_tokens: int) -> dict[str, Tensor]:
    """Tokenise texts, (K, L) each."""
    transformers = import_extra("transformers", extra="hf", model=files.model)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            files.folder, local_files_only=True, trust_remote_code=False
        )
        tokens: dict[str, Tensor] = dict(tokenizer(list(texts), padding=True, return_tensors="pt"))
    except Exception as exc:  # transformers raises anything
        raise InputError(f"the tokenizer of {files.model!r} cannot be made: {first_line(exc)}") from exc
    length = tokens["input_ids"].shape[1]
    if length > most_tokens:
        longest = max(texts, key=len)
        raise InputError(f"text {longest[:40]!r}… has {length} tokens, {files.model!r} takes {most_tokens}; shorten it")
    return {name: tokens[name] for name in ("input_ids", "attention_mask")}


def _spec(files: CheckpointFiles, config: Any, classes: int) -> ModelSpec:
    settings = input_settings(read_processor(files), files.model)
    known = ARCHITECTURES.get(config.model_type, UNKNOWN)
    frames = frames_of(config) or settings["frames"] or known.frames
    if frames is None:
        raise InputError(f"config.json of {files.model!r} does not say how many frames a clip has (num_frames)")
    is_text = config.model_type in _TEXT_MODELS
    return ModelSpec(
        **{**settings, "frames": frames, "fps": settings["fps"] or known.fps},
        name=files.model,
        classes=classes,
        layer=known.layer(config),
        antialias=True,
        crop_rounds_down=True,
        layout=known.layout(config, (frames, *settings["crop_size"])),
        axes="NTCHW",
        activation="sigmoid" if config.problem_type == "multi_label_classification" else "softmax",
        task="similarity to texts" if is_text else "video classification",
        dataset="the texts of --labels" if is_text else "classes of config.json",
        weights_name=files.origin,
    )


def _text_classes(network: nn.Module, config: Any, tokens: dict[str, Tensor]) -> nn.Module:
    from vidcam.models.families.text_classes import TextClasses, VideoTextClasses

    module = (VideoTextClasses if config.model_type == "xclip" else TextClasses)(network, tokens)
    module.encode_texts()
    return module


def _video_classes(network: nn.Module, config: Any) -> nn.Module:
    if config.model_type == "videoprism_vision_model" or getattr(config, "attention_type", "") == "space_only":
        network.register_forward_hook(_one_row_a_clip)
    return network


def _one_row_a_clip(_network: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> Tensor:
    """Return logits (N, K) from VideoPrism's (N, 1, K), or from a TimeSformer's of single frames, (N·T, K)."""
    logits: Tensor = output.logits
    return logits.reshape(len(inputs[0]), -1, logits.shape[-1]).mean(dim=1)


def _build(files: CheckpointFiles, config: Any, finish: Finish) -> nn.Module:
    import torch

    kind = _auto_class(files, config)
    with quiet():
        return finish(kind.from_config(config, dtype=torch.float32, trust_remote_code=False))


def _load(name: str, config: Any, finish: Finish, progress: Progress | None) -> tuple[nn.Module, str]:
    """Build the network with a checkpoint's safetensors; return it and their provenance."""
    import torch

    files = find_files(name, with_weights=True, progress=progress)
    files.weights()  # refuse a pickle
    kind = _auto_class(files, config)
    options = {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
    try:
        with quiet():
            network, info = kind.from_pretrained(
                files.folder, config=config, dtype=torch.float32, output_loading_info=True, **options
            )
    except Exception as exc:  # transformers and safetensors raise anything
        raise WeightsError(f"weights of {files.model!r} cannot be loaded: {first_line(exc)}") from exc
    absent = sorted(info["missing_keys"])
    if absent:
        raise WeightsError(
            f"weights of {files.model!r} lack {len(absent)} tensors ({', '.join(absent[:3])}); "
            f"pass a checkpoint that was trained to classify"
        )
    return finish(network), files.provenance()


def _auto_class(files: CheckpointFiles, config: Any) -> Any:
    transformers = import_extra("transformers", extra="hf", model=files.model)
    is_text = config.model_type in _TEXT_MODELS
    return transformers.AutoModel if is_text else transformers.AutoModelForVideoClassification


def _load_file(module: nn.Module, path: Path) -> str:
    """Load a weights file with transformers' names into a network from `build` and return its provenance."""
    from vidcam.models.families.text_classes import TextClasses
    from vidcam.models.weights.state import load_weights_file

    network = module.network if isinstance(module, TextClasses) else module
    provenance = load_weights_file(network, path, name=type(network).__name__)
    if isinstance(module, TextClasses):
        module.encode_texts()
    return provenance
