"""A registry that checks who pulls: Debian's docker-registry as a process, a token server beside it, and a runtime.

May live here: where the registry's binary comes from, its process, the token server, what a container runtime says to
both. Must not: anything of imps_multi. Feeds the end-to-end tests.
"""
