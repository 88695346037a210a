"""The configuration file: its models, the positions of its errors, its reload."""

import imps_multi.config.plain_pydantic  # noqa: F401  # before anything here imports pydantic
