"""Tests of vidcam.motion."""
