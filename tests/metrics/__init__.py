"""Tests of vidcam.metrics."""
