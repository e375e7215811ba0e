# The builder: a virtual machine of this computer, started from a cloud image. cloud-init lets Packer in by what is on a
# small CD, which scripts/seed.sh prepares.

variable "cloud_image_url" {
  type        = string
  description = "The cloud image to start from: a path or an address, such as Debian's debian-12-genericcloud-amd64.qcow2."
}

variable "cloud_image_checksum" {
  type        = string
  description = "Its checksum: sha256: or sha512: and the sum, or file: and the path or address of a list of sums."
  validation {
    condition     = var.cloud_image_checksum != "" && regex_replace(var.cloud_image_checksum, "^(sha256:[0-9A-Fa-f]{64}|sha512:[0-9A-Fa-f]{128}|file:.+)$", "") == ""
    error_message = "The cloud_image_checksum must be sha256: or sha512: and the sum, or file: and a list: an image that nobody checked is nothing to build on."
  }
}

variable "seed_folder" {
  type        = string
  description = "What scripts/seed.sh made: user-data and meta-data for cloud-init, and the key they let in."
}

variable "output_folder" {
  type        = string
  description = "Where the image goes: a folder that is not there yet."
  default     = "image"
}

variable "disk_size" {
  type        = string
  description = "Size of the image's disk."
  default     = "10G"
}

variable "memory" {
  type        = number
  description = "The builder's memory in MiB."
  default     = 2048
}

variable "cpus" {
  type        = number
  description = "The builder's processors."
  default     = 2
}

variable "accelerator" {
  type        = string
  description = "kvm, or tcg where the computer has no /dev/kvm (slow)."
  default     = "kvm"
}

source "qemu" "base" {
  iso_url          = var.cloud_image_url
  iso_checksum     = var.cloud_image_checksum
  disk_image       = true
  disk_size        = var.disk_size
  format           = "qcow2"
  accelerator      = var.accelerator
  cpus             = var.cpus
  memory           = var.memory
  headless         = true
  cd_files         = ["${var.seed_folder}/user-data", "${var.seed_folder}/meta-data"]
  cd_label         = "cidata"
  output_directory = var.output_folder
  vm_name          = "${var.image_name}.qcow2"

  communicator             = "ssh"
  ssh_username             = var.ssh_username
  ssh_private_key_file     = var.ssh_private_key_file != "" ? var.ssh_private_key_file : "${var.seed_folder}/builder"
  ssh_timeout              = var.ssh_timeout
  ssh_file_transfer_method = "sftp"
  shutdown_command         = "${local.sudo}shutdown -P now"
}
