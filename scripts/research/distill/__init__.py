"""Does a small network learn more from the explanations of a larger one? The distillation of GC++ section 5."""
