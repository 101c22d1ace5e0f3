"""Finding people, and the words by which they are found."""
