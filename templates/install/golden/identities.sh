# shellcheck shell=bash
# Checks of hygiene for what tells one machine from another, and is not ours: clones must not share it.

# hygiene_authorized_keys: who may log in belongs to a machine; clones get theirs from cloud-init or whoever starts them.
hygiene_authorized_keys() {
  local path
  local -a found=()
  existing '/root/.ssh/authorized_keys*' '/home/*/.ssh/authorized_keys*' '/etc/ssh/authorized_keys/*'
  for path in ${EXISTING[@]+"${EXISTING[@]}"}; do
    [[ ! -s ${path} ]] || found+=("${path}")
  done
  report_files authorized-keys "keys that may log in to every machine" \
    "Remove them, or allow them if that is meant: --allow PATH" ${found[@]+"${found[@]}"}
}

# hygiene_identities: names that machines draw once and keep, and seeds that make their random numbers alike.
hygiene_identities() {
  local path
  local -a found=()
  existing '/etc/ssh/ssh_host_*-cert.pub' '/var/lib/systemd/random-seed' '/var/lib/systemd/credential.secret' \
    '/var/lib/urandom/random-seed' '/var/lib/NetworkManager/secret_key' '/var/lib/NetworkManager/*.lease' '/var/lib/dhcp/*.lease*' \
    '/var/lib/dhclient/*.lease*' '/var/lib/dhcpcd/*' '/var/lib/iwd/*' '/etc/nvme/hostid' '/etc/nvme/hostnqn' '/etc/iscsi/initiatorname.iscsi'
  for path in ${EXISTING[@]+"${EXISTING[@]}"}; do
    [[ -s ${path} || -d ${path} ]] || continue
    # Debian's way to have one drawn at the first boot
    [[ ${path} != */initiatorname.iscsi ]] || grep -qsE '^[[:space:]]*InitiatorName=' -- "${path}" || continue
    found+=("${path}")
  done
  report_files identities "what each machine must have of its own" \
    "Remove them; each machine makes new ones. For iSCSI on Debian: echo GenerateName=yes > /etc/iscsi/initiatorname.iscsi" \
    ${found[@]+"${found[@]}"}
}

# hygiene_cloud_init: an instance that cloud-init has set up is not set up again.
hygiene_cloud_init() {
  existing '/var/lib/cloud/instance' '/var/lib/cloud/instances/*' '/var/lib/cloud/data/instance-id'
  report_files cloud-init "cloud-init takes every machine for the one that it has set up here" "Run: cloud-init clean --logs" \
    ${EXISTING[@]+"${EXISTING[@]}"}
}
