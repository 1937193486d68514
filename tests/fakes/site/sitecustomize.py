"""Python runs this file at its start where its folder is on the path: it brings the GPUs that are not there."""

import os

from tests.fakes.nvml import install_from_environment

install_from_environment(os.environ)
