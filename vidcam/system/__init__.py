"""Everything that touches the operating system: files, threads, signals, memory, progress."""
