"""What every feature shares about messages: their kinds, the way out, the gate, and the door in."""
