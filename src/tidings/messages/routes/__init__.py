"""HTTP endpoints of what every feature shares."""
