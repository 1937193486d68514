"""What tables show: rows of studies, trials and workers, ready to be written down."""
