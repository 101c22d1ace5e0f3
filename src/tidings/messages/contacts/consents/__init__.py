"""What people agreed to, and files of it."""
