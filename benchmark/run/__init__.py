"""One training on this machine, from preparing its data to its last evaluation; writes a record."""
