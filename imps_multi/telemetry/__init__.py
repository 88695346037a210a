"""What is seen from outside: metrics, logs, health, the status API."""
