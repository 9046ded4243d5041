"""Tests of pipelines/trust."""
