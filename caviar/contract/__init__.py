"""What crosses the wire: search spaces, studies, worker messages, answers and errors."""
