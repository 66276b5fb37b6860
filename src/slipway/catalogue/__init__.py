"""The catalogue: families and their specs, read from TOML, resolved by name."""
