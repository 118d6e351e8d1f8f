"""The command line: thin, and every command loads what it needs when it runs."""
