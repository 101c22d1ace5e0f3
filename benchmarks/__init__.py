"""Measurements of this engine on this machine, side by side with others in one run."""
