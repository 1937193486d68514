"""What the service does: one function per request of people and workers."""
