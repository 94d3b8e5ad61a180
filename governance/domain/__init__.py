"""The domain: frozen types, standard library only. The words are those of the field (see docs/architecture.md)."""
