"""A bed of real kube-apiservers for the tests marked ``real``: several clusters on one etcd, each with its own prefix.

It holds the recipe of the two servers (``servers/``), the processes, a small synchronous client for setting the stage
and looking at it afterwards, and the pytest fixtures. It must not import imps_multi: what it reports is the world as
the API server sees it, so that a test can hold the service's own view against it. No controller-manager runs: nothing
collects garbage, finishes a namespace or makes a ServiceAccount by itself.
"""
