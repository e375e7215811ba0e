# An example of what to set; copy it, change it, and give it to Packer: packer build -var-file=FILE .
# Relative paths are relative to the folder that Packer is started in. Each variable is described where it is declared,
# in bundlegen.pkr.hcl and source.pkr.hcl. Nothing secret belongs in here.

# The sum is in SHA512SUMS beside the image, at https://cloud.debian.org/images/cloud/bookworm/.
cloud_image_url      = "debian-12-genericcloud-amd64.qcow2"
cloud_image_checksum = "sha512:00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
seed_folder          = "seed"
output_folder        = "image"

# change_folder          = "../../create"
# base_sha256            = "the SHA-256 of the base.run that was approved"
# allowed_signers        = "allowed_signers"
# signer                 = "you@example.net"
# prepare_scripts        = ["install-runtime-and-kubelet.sh"]
# remove_ssh_host_keys   = true
# remove_authorized_keys = true
# hygiene_allow          = ["/opt/product/test.key"]
# image_name             = "prod-etcd-base"
# upload_parent          = "/var/tmp"
