"""The one road out and the one door in, shared by every feature."""
