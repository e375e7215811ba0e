"""Stand-ins for kubelet and kubeadm: test gear, strict where the real ones are. See tests/e2e/README.md."""
