"""What is run from a checkout beside the library: measurements, research, figures of the documentation."""
