"""The motion set, the training of the shipped models, the ground-truth table and the papers' tables."""
