"""The form of a new study: what was typed, the study that it stands for, and what is told about it."""
