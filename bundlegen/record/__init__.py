"""The change record: JSON first; everything else a ticket needs is made from it."""
