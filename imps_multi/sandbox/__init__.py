"""An in-process Kubernetes-compatible API server and an ECR/STS endpoint, for demo, tests and benchmarks."""
