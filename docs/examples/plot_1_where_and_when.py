"""
Where and when a network looked
===============================

The truth of a made clip is known: what moves, where and when. So its map can be
checked.
"""

# %%
# A clip with a known truth
# -------------------------
# In this clip several small objects move. One of them turns clockwise for a part of
# the time. That is the class. ``clip.masks`` says which pixels are this object's, and
# ``clip.intervals`` when it turns.

import matplotlib.pyplot as plt
import numpy as np

import vidcam
from vidcam.metrics.localization import energy, pointing
from vidcam.motion import LABELS, make_clip

clip = make_clip(11, LABELS.index("spin clockwise"))
clip

# %%
# Explain it
# ----------
# ``tiny_r3d`` is a small 3-D ResNet that knows eight motions. ``input_from`` turns
# frames (T, H, W, 3) into the clip that it takes, (1, 3, T, H, W).

model = vidcam.load_model("tiny_r3d")
tensor = model.input_from(clip.frames)
explanation = vidcam.explain(
    model, tensor, methods=["gradcam", "gradcam-ig"], target=clip.label
)
print(f"{model.label(clip.label)}: {explanation.probability[0]:.0%}")
print({name: volume.shape for name, volume in explanation.volumes.items()})

# %%
# Look at it
# ----------
# ``heat`` returns a map at the size of the clip, in [0, 1]. The white outline is the
# truth.

heats = {name: explanation.heat(name)[0] for name in explanation.methods}
shown = np.arange(1, 16, 3)
figure, axes = plt.subplots(
    len(heats), len(shown), figsize=(10, 4.4), layout="constrained"
)
for row, (name, heat) in zip(axes, heats.items(), strict=True):
    overlaid = vidcam.overlay(clip.frames, heat)
    for plot, frame in zip(row, shown, strict=True):
        plot.imshow(overlaid[frame])
        if clip.acting[0, frame]:
            plot.contour(
                clip.masks[0, frame], levels=[0.5], colors="white", linewidths=1
            )
        plot.set(xticks=[], yticks=[], title=f"frame {frame}")
    row[0].set_ylabel(name)

# %%
# Measure it
# ----------
# *Energy* is the share of the map inside the truth. *Pointing* is 1 if the map's
# largest value lies inside.

truth = (clip.masks & clip.acting[:, :, None, None]).any(axis=0)[None]
print(f"the truth fills {truth.mean():.1%} of the clip")
for name, heat in heats.items():
    inside, hit = energy(heat[None], truth)[0], pointing(heat[None], truth)[0]
    print(f"{name}: energy {inside:.2f}, pointing {hit:.0f}")

# %%
# One clip proves little. ``vidcam.motion.benchmark`` measures any method on 160
# clips: :doc:`/motion`.
