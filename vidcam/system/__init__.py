"""Every effect on the machine, written once: files, threads, signals, progress."""
