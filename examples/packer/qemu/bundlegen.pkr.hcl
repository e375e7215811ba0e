# Bakes base.run of the cluster prod-etcd into an image that its members are then cloned from.
# Written by bundlegen packer for the builder qemu; docs/packer.md of bundlegen says what to do with it.
# To change it, set variables (see example.pkrvars.hcl) rather than this file, which bundlegen writes again.

packer {
  required_version = ">= 1.6.6"
}

variable "change_folder" {
  type        = string
  description = "The folder that \"bundlegen build --base\" made. Left empty: ../../create beside the folder of these templates."
  default     = ""
}

variable "base_sha256" {
  type        = string
  description = "The SHA-256 of the base.run that was approved. Left empty: the one in SHA256SUMS of the change folder."
  default     = ""
  validation {
    condition     = var.base_sha256 == "" || (length(var.base_sha256) == 64 && regex_replace(var.base_sha256, "[0-9A-Fa-f]", "") == "")
    error_message = "The base_sha256 is not a SHA-256: 64 hexadecimal digits."
  }
}

variable "allowed_signers" {
  type        = string
  description = "File of those who may sign, as in ssh-keygen(1). If set, SHA256SUMS must have a good signature of signer."
  default     = ""
}

variable "signer" {
  type        = string
  description = "The name in allowed_signers that must have signed."
  default     = ""
}

variable "prepare_scripts" {
  type        = list(string)
  description = "Your own scripts, run as root on the builder before baking: they install the container runtime and kubelet. They may reboot."
  default     = []
}

variable "remove_ssh_host_keys" {
  type        = bool
  description = "Whether the builder's SSH host keys are removed. Clones must then make their own, as cloud-init does."
  default     = true
}

variable "remove_authorized_keys" {
  type        = bool
  description = "Whether the SSH keys that may log in as root and as ssh_username are removed, the builder's own among them."
  default     = true
}

variable "hygiene_allow" {
  type        = list(string)
  description = "Paths of files that hygiene would refuse and that may be in the image all the same, such as a test key of some package."
  default     = []
  validation {
    condition     = regex_replace(join("", var.hygiene_allow), "[0-9A-Za-z/._@+-]", "") == ""
    error_message = "The paths in hygiene_allow must be made of letters, digits and / . _ @ + -."
  }
}

variable "image_name" {
  type        = string
  description = "What the image is called."
  default     = "prod-etcd-base"
  validation {
    condition     = var.image_name != "" && regex_replace(var.image_name, "[0-9A-Za-z._-]", "") == ""
    error_message = "The image_name must be letters, digits, dots, dashes and underscores."
  }
}

variable "upload_parent" {
  type        = string
  description = "Folder of the builder with room for the upload, which is put into a private folder there and removed in the end."
  default     = "/var/tmp"
  validation {
    condition     = substr(var.upload_parent, 0, 1) == "/"
    error_message = "The upload_parent must be an absolute path."
  }
}

variable "ssh_username" {
  type        = string
  description = "Who logs in to the builder: root, or somebody who may use sudo without a password."
  default     = "debian"
}

variable "ssh_private_key_file" {
  type        = string
  description = "The key to log in with. Left empty: the one in seed_folder."
  default     = ""
}

variable "ssh_timeout" {
  type        = string
  description = "How long to wait for the builder's SSH server."
  default     = "10m"
}

locals {
  change = abspath(var.change_folder != "" ? var.change_folder : "${path.root}/../../create")
  upload = "${var.upload_parent}/bundlegen-${uuidv4()}"
  sudo   = var.ssh_username == "root" ? "" : "sudo -n "
  as_is  = "env {{ .Vars }} bash '{{ .Path }}'"

  # What is uploaded: base.run and, after "bundlegen build --shared-images", what its images are in; with the sums of
  # SHA256SUMS, and an error that says so where it has none. Nothing here may hide an error by "try", and no other local
  # may use sums: Packer 1.6 would then report another error.
  text   = fileexists("${local.change}/SHA256SUMS") ? file("${local.change}/SHA256SUMS") : ""
  listed = { for line in split("\n", local.text) : substr(line, 66, -1) => substr(line, 0, 64) if length(line) > 66 }
  files  = contains(keys(local.listed), "images.tar.gz") ? ["base.run", "images.tar.gz"] : ["base.run"]
  sums   = [for name in local.files : name == "base.run" && var.base_sha256 != "" ? lower(var.base_sha256) : contains(keys(local.listed), name) ? local.listed[name] : file("/no ${name} in ${local.change}/SHA256SUMS (see \"bundlegen build --base\")")]
}

build {
  sources = ["source.qemu.base"]

  # On this machine: nothing is uploaded that is not what was built, and signed where that is demanded.
  provisioner "shell-local" {
    script          = "${path.root}/scripts/check.sh"
    execute_command = ["/bin/bash", "-c", "{{ .Vars }} bash \"$0\"", "{{ .Script }}"]
    environment_vars = [
      "CHANGE=${local.change}",
      "FILES=${join(" ", local.files)}",
      "SUMS=${join(" ", local.sums)}",
      "ALLOWED_SIGNERS=${var.allowed_signers != "" ? abspath(var.allowed_signers) : ""}",
      "SIGNER=${var.signer}",
    ]
  }

  # Your scripts may reboot the builder: Packer then waits until it is back.
  provisioner "shell" {
    scripts             = concat(["${path.root}/scripts/wait.sh"], var.prepare_scripts)
    execute_command     = "${local.sudo}${local.as_is}"
    expect_disconnect   = true
    start_retry_timeout = "10m"
  }

  # The folder must be new: in one that is there already, somebody else could exchange what is uploaded.
  provisioner "shell" {
    inline          = ["umask 077", "mkdir -- '${local.upload}'"]
    execute_command = local.as_is
    pause_before    = "2s"
  }

  provisioner "file" {
    sources     = [for name in concat(local.files, ["SHA256SUMS"]) : "${local.change}/${name}"]
    destination = "${local.upload}/"
  }

  provisioner "shell" {
    script          = "${path.root}/scripts/bake.sh"
    execute_command = "${local.sudo}${local.as_is}"
    environment_vars = [
      "UPLOAD=${local.upload}",
      "FILES=${join(" ", local.files)}",
      "SUMS=${join(" ", local.sums)}",
    ]
  }

  # The last that runs: without host keys the builder takes no new connection.
  provisioner "shell" {
    script          = "${path.root}/scripts/finish.sh"
    execute_command = "${local.sudo}${local.as_is}"
    environment_vars = [
      "UPLOAD=${local.upload}",
      "LOGIN=${var.ssh_username}",
      "REMOVE_SSH_HOST_KEYS=${var.remove_ssh_host_keys}",
      "REMOVE_AUTHORIZED_KEYS=${var.remove_authorized_keys}",
      "HYGIENE_ALLOW=${join(":", var.hygiene_allow)}",
    ]
  }

  post-processor "checksum" {
    checksum_types = ["sha256"]
    output         = "${var.output_folder}/${var.image_name}.qcow2.sha256"
  }
}
