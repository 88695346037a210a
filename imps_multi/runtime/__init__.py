"""How actors live: mailboxes, queues, backoff, supervision. No word of Kubernetes."""
