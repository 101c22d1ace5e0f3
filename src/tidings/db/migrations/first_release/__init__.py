"""The tables of the first release, by subject. They stay as they are; later revisions change them."""
