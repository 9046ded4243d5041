"""One self-contained page: the video, its maps drawn in the browser, and where they come from."""
