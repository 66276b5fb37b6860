"""The command line and its client, against a stub of the gateway."""
