"""What open pages are told: one broadcaster for each view that somebody looks at, whatever their number."""
