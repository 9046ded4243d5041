"""
A network of your own
=====================

Any ``nn.Module`` that takes clips can be explained. It is left as it was.
"""

# %%
# A network
# ---------
# It is untrained: this page shows how, not what.

import torch
from torch import nn

import vidcam

torch.manual_seed(0)
network = nn.Sequential(
    nn.Conv3d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2),
    nn.Conv3d(8, 16, 3, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, 5),
)  # fmt: skip
clips = torch.rand(2, 3, 8, 32, 32)

# %%
# Layers
# ------
# The default is the last layer that has a value for each place and moment.

for layer in vidcam.list_layers(network, clips):
    print(layer)

# %%
# One map for each method
# -----------------------

explanation = vidcam.explain(
    network, clips, methods=["gradcam", "gradcam+", "gradcam++", "hirescam"]
)
print(explanation)
print(explanation.audit())

# %%
# In a notebook an explanation is drawn.

explanation

# %%
# Another class, another layer, and one class against another:

other = vidcam.explain(network, clips, target=3, contrast=1, layer="0")
print(other.volumes["gradcam"].shape)

# %%
# Networks with several inputs, tokens or frames in the batch: :doc:`/network`.
