"""imps-multi: image pull secrets, kept right in every selected namespace of every selected cluster."""

__version__ = "0.1.0"
