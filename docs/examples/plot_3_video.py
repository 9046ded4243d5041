"""
From a video file to an overlay video
=====================================

``explain_video`` reads a file, explains its windows, and writes an overlay video, a
sheet, a page and the data.
"""

# %%
# A video
# -------
# Any file that FFmpeg reads will do. This one is made here: three clips in a row.

import tempfile
from pathlib import Path

import imageio.v3 as iio
import matplotlib.pyplot as plt
import numpy as np

import vidcam
from vidcam.motion import LABELS, make_clip

folder = Path(tempfile.mkdtemp())
motions = ("spin clockwise", "spin clockwise", "wheel up")
frames = np.concatenate(
    [
        make_clip(20 + seed, LABELS.index(name)).frames
        for seed, name in enumerate(motions)
    ]
)
iio.imwrite(folder / "video.mp4", frames, fps=12, codec="libx264")

# %%
# Explain it
# ----------

result = vidcam.explain_video(
    folder / "video.mp4", folder / "out", model="tiny_r3d", targets=["spin clockwise"]
)
for path in result.paths:
    print(path.name)

# %%
# The verdicts come first. Then the classes.

for line in result.verdicts:
    print(line)
print(result.top5[:3])

# %%
# The sheet shows the moments with the most evidence.

sheet = plt.imread(folder / "out" / "video.png")
figure = plt.figure(figsize=(10, 10 * sheet.shape[0] / sheet.shape[1]))
plot = figure.add_axes((0, 0, 1, 1))
plot.imshow(sheet)
_ = plot.axis("off")

# %%
# The data
# --------
# The maps are at hand, at any time stamp, in the pixels of the video.

explanation = result.explanation
method = "gradcam"
seconds = np.arange(48) / 12
print(explanation.source_heat(method, seconds[6]).shape)
figure, plot = plt.subplots(figsize=(8, 2.6), layout="constrained")
plot.plot(seconds, explanation.evidence(method, seconds))
_ = plot.set(xlabel="seconds", ylabel="evidence", title=f"{method}: spin clockwise")
