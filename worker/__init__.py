"""The process that trains: slots, Keras, objectives, and the way to the service."""
