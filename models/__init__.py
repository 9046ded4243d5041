"""Models: networks, weights, labels and specs. This package does not import CAM, video or metrics code."""
