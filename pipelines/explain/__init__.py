"""From a video file to maps, overlay videos, a sheet and a JSON."""
