"""Whether anything drifts while messages leave at the same rate for a long time."""
