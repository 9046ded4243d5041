"""Tests of vidcam.models."""
