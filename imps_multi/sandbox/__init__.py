"""Clusters and a registry's cloud to test against, in process: a Kubernetes-compatible API server, and ECR with STS.

Enter by `cluster.SandboxCluster` and `ecr.SandboxEcr`, or run `python -m imps_multi.sandbox`. What lives here answers
as the real ones do, which one suite of contract tests holds it to, and can be made to fail in every way that those
fail in. It uses nothing of the product, so that the two cannot share a mistake; demo, tests and benchmarks use it.
"""
