"""The service: rules, search, store, API and pages."""
