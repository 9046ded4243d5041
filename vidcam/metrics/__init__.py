"""Measures of faithfulness and localisation: pure functions of scores, maps and masks; they never see a model."""
