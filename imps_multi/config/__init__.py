"""The configuration file: its models, the positions of its errors, its reload."""
