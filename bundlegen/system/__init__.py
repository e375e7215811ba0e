"""The doors to the outside: programs, clock, terminal, templates, files."""
