"""Measures of faithfulness: pure functions of scores and maps, one file each; they never see a model."""
