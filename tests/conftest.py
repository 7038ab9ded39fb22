"""Before anything is imported: where several processes share the cores, none waits by spinning."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
