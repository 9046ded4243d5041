"""One explainer, several videos, several threads."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.helpers.nets import pooled_model
from tests.pipelines.conftest import VideoMaker
from tests.pipelines.explain.conftest import read_document
from vidcam.pipelines.explain.explainer import Explainer
from vidcam.pipelines.explain.request import ExplainOptions


def test_videos_explained_together_are_as_those_explained_alone(make_video: VideoMaker, tmp_path: Path) -> None:
    videos = [make_video(f"video{place}", count=40 + 15 * place, height=64, width=80) for place in range(4)]
    options = ExplainOptions(methods=("gradcam++", "guided-gradcam"), outputs=("data",))
    explainer = Explainer(pooled_model(), options)
    for video in videos:
        explainer.explain(video, tmp_path / "alone")
    errors: list[BaseException] = []

    def work(video: Path) -> None:
        try:
            explainer.explain(video, tmp_path / "together")
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(video,)) for video in videos]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for video in videos:
        alone, together = (read_document(tmp_path / folder / f"{video.stem}.json") for folder in ("alone", "together"))
        assert together == alone
        first, second = (tmp_path / folder / f"{video.stem}.npz" for folder in ("alone", "together"))
        assert first.read_bytes() == second.read_bytes()
