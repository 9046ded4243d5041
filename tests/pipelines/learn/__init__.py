"""Tests of learning from explanations."""
