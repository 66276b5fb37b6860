"""The commands of the command line, one file a noun group; `slipway.cli` imports the one it runs."""
