"""Background jobs: adding, running, scheduling and managing them, and messages that leave the installation."""
