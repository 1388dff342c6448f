"""What can be asked for, a file a noun."""
