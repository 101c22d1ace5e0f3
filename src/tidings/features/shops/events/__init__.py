"""What shops tell: taken in, stored once, and kept."""
