"""The web: what the back office says over HTTP."""
