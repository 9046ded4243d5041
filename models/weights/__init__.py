"""Download, cache, check and read weights. No code in a weights file is run."""
