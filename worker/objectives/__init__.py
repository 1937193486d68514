"""What can be trained: the built-in `mlp` and the classes that an operator gives to the worker."""
