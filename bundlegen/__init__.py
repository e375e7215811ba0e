"""bundlegen: one self-extracting bundle per host of an external, kubeadm-style etcd cluster."""

import os

__version__ = "0.1.0"

# pydantic looks through every installed package for plugins of its own, which costs a fifth of all importing, and would
# let a stranger's code see the specification.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
