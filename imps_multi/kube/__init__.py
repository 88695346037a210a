"""Kubernetes over HTTP: kubeconfig, authentication, transport, list+watch, Secret writes."""
