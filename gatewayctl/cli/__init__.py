"""The command line: one file per command group, wired without the daemon in ``offline``."""
