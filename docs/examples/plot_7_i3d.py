"""
I3D on a real clip
==================

I3D knows 400 actions of people. This page is built where its weights are in the cache.
"""

# %%
# The sample clip
# ---------------
# A man jumps off a roof. Kinetics-400 has no such class, so I3D must be wrong.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import vidcam
from vidcam.models.sample import sample_clip

folder = Path(tempfile.mkdtemp())
result = vidcam.explain_video(
    sample_clip(),
    folder,
    model="i3d",
    methods=["gradcam++", "neutral-gradcam"],
    start=3.0,
    end=5.0,
    outputs="sheet",
)

# %%
# What is said
# ------------
# The verdicts come first. The top class is a guess at 11 %.

for line in result.verdicts:
    print(line)
print(result.top5)

# %%
# The sheet
# ---------

sheet = plt.imread(next(path for path in result.paths if path.suffix == ".png"))
figure = plt.figure(figsize=(10, 10 * sheet.shape[0] / sheet.shape[1]))
plot = figure.add_axes((0, 0, 1, 1))
plot.imshow(sheet)
_ = plot.axis("off")
