"""Explain videos on a Ray cluster: each actor holds the model and explains one video at a time.

The actors write the files that one machine writes. Videos whose results have one name follow each other, so that each
gets the name that it has on one machine. If a worker dies, Ray starts it again and its video is tried again.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from vidcam.errors import RunError, VidcamError
from vidcam.foreign import first_line
from vidcam.pipelines.ray_cluster import MOST_ATTEMPTS, actor_resources, cluster, import_ray, room_for_actors
from vidcam.system.filenames import safe_stem
from vidcam.system.progress import Progress
from vidcam.video.source import source_stem

EXPLAINING = "explaining videos"
"""Name of the stage in the progress display."""

Worker = TypeVar("Worker")
Result = TypeVar("Result")


class VideoWorker(Generic[Worker, Result]):
    """Works on videos in an actor.

    Args:
        load: makes what works on every video.
        work: the work on one video.
        threads: threads of PyTorch.
        folder: working folder, from which relative paths start; each worker must see it.
    """

    def __init__(
        self, load: Callable[[], Worker], work: Callable[[Worker, Path], Result], threads: int, folder: Path
    ) -> None:
        os.chdir(folder)
        torch.set_num_threads(threads)
        self._worker, self._work = load(), work

    def result(self, video: Path) -> Result | VidcamError:
        """Return the result of a video, or why it failed."""
        try:
            return self._work(self._worker, video)
        except VidcamError as exc:
            return exc


class RayVideos(Generic[Result]):
    """The results of videos from the actors of a cluster; `ray_videos` makes it."""

    def __init__(self, ray: Any, actors: Sequence[Any], videos: Sequence[Path], progress: Progress) -> None:
        self._ray, self._progress, self._count = ray, progress, len(videos)
        self._free, self._waiting = list(actors), deque(videos)
        self._running: dict[Any, tuple[Path, Any]] = {}
        self._done = defaultdict[Path, list[Result | VidcamError]](list)  # a video may be named twice
        self._finished = 0

    def result(self, video: Path) -> Result:
        """Wait for the result of a video; meanwhile the actors work on the others.

        Raises:
            VidcamError: the video failed.
            RunError: workers died at it, or Ray failed.
        """
        while not self._done[video]:
            self._start()
            (ready,), _ = self._ray.wait(list(self._running), num_returns=1)
            finished, actor = self._running.pop(ready)
            self._free.append(actor)
            self._done[finished].append(self._get(ready))
            self._finished += 1
            self._progress(EXPLAINING, self._finished, self._count)
        result = self._done[video].pop(0)
        if isinstance(result, VidcamError):
            raise result
        return result

    def _start(self) -> None:
        """Give each free actor a video whose results have no name that is being written."""
        names = {_name(video) for video, _ in self._running.values()}
        for video in list(self._waiting):
            if not self._free:
                return
            if (name := _name(video)) not in names:
                actor = self._free.pop()
                self._running[actor.result.remote(video)] = video, actor
                self._waiting.remove(video)
            names.add(name)

    def _get(self, ready: Any) -> Result | VidcamError:
        errors = self._ray.exceptions
        try:
            result: Result | VidcamError = self._ray.get(ready)
        except errors.RayActorError:
            return RunError(f"the worker process died {MOST_ATTEMPTS} times at this video")
        except errors.RayError as exc:
            return RunError(f"Ray failed ({first_line(exc)})")
        return result


@contextmanager
def ray_videos(
    load: Callable[[], Worker],
    work: Callable[[Worker, Path], Result],
    videos: Sequence[Path],
    *,
    is_gpu: bool,
    progress: Progress,
) -> Iterator[RayVideos[Result]]:
    """Start as many actors as the cluster has room for; they end with the block.

    Args:
        load: makes what works on every video.
        work: the work on one video.
        videos: all videos, in order.
        is_gpu: whether each actor needs a GPU; else it has as many cores as PyTorch has threads here.
        progress: called after each video.

    Raises:
        InputError: Ray is not installed, or the cluster has too few cores or no GPU.
    """
    ray, threads = import_ray(), torch.get_num_threads()
    with cluster(ray):
        size = min(len(videos), room_for_actors(ray, threads=threads, is_gpu=is_gpu))
        make = ray.remote(VideoWorker).options(
            max_restarts=-1, max_task_retries=MOST_ATTEMPTS - 1, **actor_resources(threads, is_gpu=is_gpu)
        )
        actors = [make.remote(load, work, threads, Path.cwd()) for _ in range(size)]
        yield RayVideos(ray, actors, videos, progress)


def _name(video: Path) -> str:
    return safe_stem(source_stem(str(video)))
