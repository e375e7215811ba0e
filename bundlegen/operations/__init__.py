"""What can be done to a cluster: one room per operation. ``build``, ``trust`` and ``record`` know none by name."""
