"""The cluster's keys and certificates: which there are, how each is made, and where they are kept."""
