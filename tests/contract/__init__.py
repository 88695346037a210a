"""What a Kubernetes API server answers, held against the sandbox and against a real kube-apiserver alike.

Every test runs twice with the same assertions, so that the sandbox cannot drift from what it stands for. A client of
raw requests: nothing of the product is used.
"""
