"""`explain` into one file: a video of one target and one method, and nothing beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vidcam.errors import InputError
from vidcam.pipelines.explain.document import Document
from vidcam.pipelines.explain.explainer import ExplainedVideo, Explainer, explain_prepared
from vidcam.pipelines.explain.outputs import stated_path
from vidcam.system.atomic import disk_errors, require_writable
from vidcam.system.exchange import claimed_folder
from vidcam.system.signals import defer_signals
from vidcam.video.source import Source, local_path


def explain_to_file(explainer: Explainer, source: Source, file: Path, *, overwrite: bool = False) -> ExplainedVideo:
    """Explain a video for one target, and write its overlay (or map) video to a file.

    The request of the explainer has one target, and one of the outputs `overlay` and `map`. Of several methods the
    first is drawn.

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
