"""From a set of clips to a table of faithfulness."""
