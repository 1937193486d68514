"""What stands between the network and the application: each module guards against one kind of harm."""
