"""Learning from explanations: losses between the maps of a student and of a teacher."""
