"""The message systems. Each is a folder with the same files; none imports another."""
