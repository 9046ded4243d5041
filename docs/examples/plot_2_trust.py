"""
Can this map be trusted?
========================

A verdict is measured on the clip at hand, by a few more forward passes.
"""

# %%
# Two clips
# ---------
# The network is right about both. The clips were chosen: one has a reliable map, the
# other has none.

import matplotlib.pyplot as plt

import vidcam
from vidcam.motion import LABELS, make_clip

METHODS = ("gradcam++", "neutral-gradcam-ig")
model = vidcam.load_model("tiny_r3d")
clips = [make_clip(seed, LABELS.index("spin clockwise")) for seed in (0, 19)]

# %%
# Maps and verdicts
# -----------------
# A verdict is ``reliable``, ``doubtful``, ``unreliable``, ``not checked`` or ``too
# short to tell``, with its reason.

figure, axes = plt.subplots(
    len(clips), len(METHODS), figsize=(6, 6.4), layout="constrained"
)
for row, clip in zip(axes, clips, strict=True):
    tensor = model.input_from(clip.frames)
    explanation = vidcam.explain(model, tensor, methods=METHODS)
    verdicts = vidcam.verdict(model, tensor, explanation)
    frame = sum(clip.intervals[0]) // 2
    for plot, name in zip(row, METHODS, strict=True):
        print(f"{name}: {verdicts[name].word} ({verdicts[name].reason})")
        plot.imshow(vidcam.overlay(clip.frames, explanation.heat(name)[0])[frame])
        plot.contour(clip.masks[0, frame], levels=[0.5], colors="white", linewidths=1)
        plot.set(xticks=[], yticks=[], title=f"{name}: {verdicts[name].word}")

# %%
# The white outline is the truth. ``vidcam.verdict`` does not know it. In the second
# clip the maps lie near the truth, and yet hiding what they leave out changes the
# class. *Unreliable* means: not confirmed.

# %%
# How the verdict is measured, and how often it is right: :doc:`/explain` and
# :doc:`/evidence/verdict`.
