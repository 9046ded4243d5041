"""
Which method is more faithful on my clips?
==========================================

``score_clips`` hides what a map leaves out, asks the network again, and compares
methods clip by clip.
"""

# %%
# A set of clips
# --------------
# Twelve made clips, with their classes. A manifest may be a list, a CSV, JSON or
# Parquet file.

import tempfile
from pathlib import Path

import imageio.v3 as iio

import vidcam
from vidcam.motion import LABELS, make_clip

folder = Path(tempfile.mkdtemp())
rows = []
for seed in range(12):
    clip = make_clip(100 + seed, seed % len(LABELS))
    path = folder / f"{seed}.mkv"
    iio.imwrite(path, clip.frames, fps=12, codec="ffv1")
    rows.append({"path": str(path), "label": LABELS[clip.label]})

# %%
# Score it
# --------

result = vidcam.score_clips(
    rows, folder / "scores", model="tiny_r3d", methods=["gradcam", "gradcam++"]
)
for name, method in result.summary.methods.items():
    drop = method.average_drop
    print(f"{name}: average drop {drop.value:.1f} % [{drop.low:.1f}, {drop.high:.1f}]")

# %%
# The report
# ----------
# ``report.html`` has the clips, worst first. ``report.md`` has the tables and the
# tests.

print((folder / "scores" / "report.md").read_text()[:1500])
