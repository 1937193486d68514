"""The store of files: checkpoints and weights, in a local folder or in any file system that fsspec knows."""
