"""People in the files that others export."""
