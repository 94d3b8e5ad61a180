"""Evidence over HTTP: the checkpoint of the audit log."""
