"""The hub as a directory of manifests, and the state store."""
