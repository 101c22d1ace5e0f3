"""The people who are written to: numbers, files of them, and what they have agreed to."""
