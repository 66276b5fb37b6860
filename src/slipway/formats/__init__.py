"""Header checks of weight files; never a pickle."""
