"""What is drawn: curves, maps, charts, as marks ready to be written down."""
