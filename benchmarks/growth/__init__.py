"""What one operation costs beside a thousand messages, and beside a hundred times as many."""
