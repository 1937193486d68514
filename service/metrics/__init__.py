"""What Prometheus is told: counts of this process, and how much of everything the database holds."""
