"""The command line, a file a noun. Modules import what is heavy inside their commands, so that `--help` is quick."""
