"""Two entries of one person made one, and two again."""
