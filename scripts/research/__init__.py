"""The motion set, the training of the shipped models, the table of truth, the search for maps, the papers' tables."""
