"""A study of how people see the maps: a page of blind questions, a server that keeps answers, and their analysis."""
