"""GPUs and their slices, as NVIDIA's driver tells of them, and what the process of a slot may see of them."""
