"""Looking into bundles without executing one byte of them."""
