"""A file for each format of agendas; each yields the same raw sessions. `recognition` tells them apart."""
