"""The versions of the vault's tables."""
