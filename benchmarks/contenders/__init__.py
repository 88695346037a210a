"""Who is measured, each run in a process of its own: `python -m benchmarks.contenders.NAME ARGUMENTS`.

A contender does its work and prints one line of JSON with what that cost; ``spent`` measures it. It imports nothing
that the others need.
"""
