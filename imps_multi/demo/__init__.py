"""The demonstration: the real service on sandbox clusters and a sandbox ECR, told as a story and checked as it goes.

What lives here plays and tells; it decides nothing about Secrets. It sees the service from outside (files in, Secrets
and the status API out), so that what it shows is what a user would get. The command line calls `run_demo`.
"""

from imps_multi.demo.running import run_demo

__all__ = ["run_demo"]
