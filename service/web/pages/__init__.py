"""The pages, one module each: what it shows, read in one transaction, and its routes."""
