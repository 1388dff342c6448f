"""What can be asked of the back office, and what it runs on."""
