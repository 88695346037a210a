"""The program as its users meet it: started as a process, on real kube-apiservers, and looked at from outside.

Nothing here reaches into the running service: it is told through its files, its socket and its signals, and judged by
what the API servers, their audit logs, its status page, metrics, log and exit code say. Times are measured and written
down (``figures``), never asserted beyond a generous bound.
"""
