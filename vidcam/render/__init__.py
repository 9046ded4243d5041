"""What people look at: colours, overlays, outlines, explanation maps and contact sheets. Needs no torch."""
