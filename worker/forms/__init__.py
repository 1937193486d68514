"""The forms that an objective may have, each with its own way to train one assignment."""
