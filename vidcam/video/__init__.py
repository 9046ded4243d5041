"""Reading and writing video files: the only place that opens media.

Frames are (H, W, 3) uint8 RGB as displayed; seconds count from the first displayed frame.
"""

from vidcam.video.reader import VideoReader, open_video, probe
from vidcam.video.writer import VideoWriter

__all__ = ["VideoReader", "VideoWriter", "open_video", "probe"]
