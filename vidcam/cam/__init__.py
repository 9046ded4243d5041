"""The spatiotemporal CAM core: record a model, weigh its channels, combine them into a volume. Torch only."""
