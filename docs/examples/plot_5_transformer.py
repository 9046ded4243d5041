"""
A video transformer
===================

On a transformer, ``token-lrp`` follows the relevance of each token. A CAM of its
tokens may point anywhere.
"""

# %%
# Two targets in one clip
# -----------------------
# Four discs show gratings. One drifts to the left, another drifts down, and two never
# move.

import matplotlib.pyplot as plt

import vidcam
from vidcam.motion import GRATING_LABELS, make_grating_clip

classes = [GRATING_LABELS.index("left"), GRATING_LABELS.index("down")]
clip = make_grating_clip(7, classes)
model = vidcam.load_model("tiny_vit")
tensor = model.input_from(clip.frames)

# %%
# One map for each target
# -----------------------

METHODS = ("token-lrp", "gradcam")
figure, axes = plt.subplots(
    len(classes), len(METHODS), figsize=(6, 6.4), layout="constrained"
)
for row, (target, mask) in zip(
    axes, zip(classes, clip.instances, strict=True), strict=True
):
    explanation = vidcam.explain(model, tensor, methods=METHODS, target=target)
    frame = int(mask.any(axis=(1, 2)).nonzero()[0].mean())
    for plot, name in zip(row, METHODS, strict=True):
        heat = explanation.heat(name)[0]
        plot.imshow(vidcam.overlay(clip.frames, heat)[frame])
        plot.contour(mask[frame], levels=[0.5], colors="white", linewidths=1)
        share = heat[mask].sum() / heat.sum()
        title = f"{name}: {model.label(target)}\n{share:.0%} inside"
        plot.set(xticks=[], yticks=[], title=title)

# %%
# By name: ``--model hf:FOLDER`` or ``timm:NAME``, see :doc:`/transformers`.
