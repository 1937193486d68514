"""The pages for people: server-rendered, live by server-sent events, complete without script."""
