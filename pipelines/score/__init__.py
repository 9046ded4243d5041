"""Score sets of clips: faithfulness and localization of the maps."""
