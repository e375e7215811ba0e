# For Packer 1.7 and newer, which has its builders apart: run "packer init plugins" once, beside this folder.
# It is in a folder of its own because Packer 1.6, which has them built in, does not understand required_plugins.

packer {
  required_plugins {
    qemu = {
      source  = "github.com/hashicorp/qemu"
      version = ">= 1.1.0"
    }
  }
}
