"""What goes onto one host: the plan, its files, and the archive they become."""
