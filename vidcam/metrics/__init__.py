"""Measures of faithfulness and localisation: pure functions of scores, maps and masks. They never see a model."""
