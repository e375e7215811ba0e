"""Container image archives: read, chosen, packed."""
