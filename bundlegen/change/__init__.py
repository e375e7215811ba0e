"""Making a change: the recipe, and the folder it becomes."""
