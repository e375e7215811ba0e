"""The specification: its model, its rules, and how it is read."""
