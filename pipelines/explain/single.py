"""`explain` into one file: a video of one target and one method, and nothing beside it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vidcam.errors import InputError
from vidcam.pipelines.explain.document import Document
from vidcam.pipelines.explain.explainer import ExplainedVideo, Explainer, explain_prepared
from vidcam.pipelines.explain.outputs import check_readable, stated_path
from vidcam.system.atomic import disk_errors, require_writable
from vidcam.system.exchange import claimed_folder
from vidcam.system.signals import defer_signals
from vidcam.video.reader import Decoder
from vidcam.video.source import Source, local_path


def check_file(
    source: Source,
    file: Path,
    *,
    overwrite: bool,
    fps: Fraction | float | None = None,
    decoder: Decoder = "auto",
) -> None:
    """Refuse a source or a file before a model is loaded; writes nothing.

    Args:
        source: the video, which is opened unless it is an address or an open file.
        file: the MP4 file.
        overwrite: whether the file may exist.
        fps: frames per second of a folder of images.
        decoder: as that of `open_video`.

    Raises:
        InputError: the source is no video, or the file cannot be written.
    """
    require_writable(file, overwrite=overwrite)
    check_readable(source, fps=fps, decoder=decoder)


def explain_to_file(explainer: Explainer, source: Source, file: Path, *, overwrite: bool = False) -> ExplainedVideo:
    """Explain a video for one target, and write its overlay (or map) video to a file.

    Of several methods the first is drawn.

    Args:
        explainer: its request has one target and one of the outputs `overlay` and `map`.
        source: the video.
        file: the MP4 file.
        overwrite: whether the file may exist.

    Raises:
        OutputError: the file exists, or its folder does not.
        InputError: the request is for several videos.
    """
    require_writable(file, overwrite=overwrite)
    request = explainer.request
    if len(request.targets) > 1 or request.above is not None or request.outputs not in (("overlay",), ("map",)):
        raise InputError(f"{file.name!r} is one file, expected one target and the output overlay or map")
    request = replace(request, methods=request.methods[:1], settings={}, overwrite=False)
    with claimed_folder(file) as folder:
        result = explain_prepared(source, folder, explainer.ready, request, fetch=True, progress=explainer.progress)
        video = next(path for path in result.paths if path.suffix == ".mp4")
        with defer_signals(), disk_errors(file):
            require_writable(file, overwrite=overwrite)
            video.replace(file)
    return replace(result, document=_document_of(result.document, source, file), paths=(file,))


def _document_of(document: Document, source: Source, file: Path) -> Document:
    """The document as seen from the file's folder, with the file's name."""
    path = local_path(source)
    stated = document.source.path if path is None else stated_path(Path(path), file.parent)
    (target,) = document.targets
    ((name, method),) = target.methods.items()
    renamed = replace(
        method,
        overlay=None if method.overlay is None else file.name,
        map=None if method.map is None else file.name,
    )
    return replace(
        document,
        source=replace(document.source, path=stated),
        targets=(replace(target, methods={name: renamed}),),
        files=(file.name,),
    )
