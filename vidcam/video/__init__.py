"""Read and write video files. All media files are opened here.

Frames are (H, W, 3) uint8 RGB as displayed. Seconds count from the first displayed frame.
"""

from vidcam.video.indexed import VideoReader
from vidcam.video.reader import open_video, probe
from vidcam.video.writer import VideoWriter

__all__ = ["VideoReader", "VideoWriter", "open_video", "probe"]
