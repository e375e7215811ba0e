"""bundlegen: one self-extracting bundle per host of an external, kubeadm-style etcd cluster."""

__version__ = "0.2.0"
