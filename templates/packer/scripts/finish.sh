#!/bin/bash
# Runs on the builder as root, last: takes away what every clone would otherwise share, lets bundlegen judge whether an
# image of this machine may be shared, and removes the upload.
# Told by the template: UPLOAD, LOGIN, REMOVE_SSH_HOST_KEYS, REMOVE_AUTHORIZED_KEYS, HYGIENE_ALLOW (paths, : between).
set -Eeuo pipefail
: "${UPLOAD:?}" "${LOGIN:?}" "${REMOVE_SSH_HOST_KEYS:?}" "${REMOVE_AUTHORIZED_KEYS:?}" "${HYGIENE_ALLOW?}"

# What cloud-init did for the builder, it does again for each clone.
forget_instance() {
  ! command -v cloud-init > /dev/null || cloud-init clean --logs
}

forget_packages() {
  ! command -v apt-get > /dev/null || apt-get -qq clean
  ! command -v dnf > /dev/null || dnf -q clean all
  rm -rf -- /var/lib/apt/lists/*
}

forget_logs() {
  if command -v journalctl > /dev/null; then
    journalctl --quiet --rotate --vacuum-time=1s || true
  fi
  rm -rf -- /var/log/journal/*
  find /var/log -xdev -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name '*.old' \) -delete
  find /var/log -xdev -type f -exec truncate --size=0 -- {} +
}

forget_history() {
  find /root /home -xdev -maxdepth 2 -type f -name '.*_history' -delete
}

forget_network() {
  rm -f -- /etc/udev/rules.d/70-persistent-net.rules
  rm -f -- /var/lib/dhcp/*.lease* /var/lib/dhclient/*.lease* /var/lib/NetworkManager/*.lease /var/lib/NetworkManager/secret_key
  rm -rf -- /var/lib/dhcpcd/*
}

# A host draws new ones at its next boot from files that are empty or not there.
forget_identity() {
  rm -f -- /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/urandom/random-seed
  rm -f -- /etc/nvme/hostid /etc/nvme/hostnqn
  if [[ -e /usr/lib/open-iscsi/startup-checks.sh || -e /lib/open-iscsi/startup-checks.sh ]]; then
    # what Debian's takes for: draw one
    echo GenerateName=yes > /etc/iscsi/initiatorname.iscsi
  else
    rm -f -- /etc/iscsi/initiatorname.iscsi
  fi
  [[ -L /var/lib/dbus/machine-id ]] || rm -f -- /var/lib/dbus/machine-id
  : > /etc/machine-id
}

forget_keys() {
  local home
  if [[ ${REMOVE_SSH_HOST_KEYS} == true ]]; then
    rm -f -- /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /etc/ssh/ssh_host_*-cert.pub
  fi
  [[ ${REMOVE_AUTHORIZED_KEYS} == true ]] || return 0
  home=$(getent passwd "${LOGIN}" | cut -d : -f 6)
  rm -f -- /root/.ssh/authorized_keys "${home:-/root}/.ssh/authorized_keys"
}

main() {
  local path
  local -a options=() allowed=()
  trap 'rm -rf -- "${UPLOAD}"' EXIT
  forget_instance
  forget_packages
  forget_logs
  forget_history
  forget_network
  forget_identity
  forget_keys
  [[ ${REMOVE_SSH_HOST_KEYS} == true ]] || options+=(--ignore ssh-host-keys)
  [[ ${REMOVE_AUTHORIZED_KEYS} == true ]] || options+=(--ignore authorized-keys)
  IFS=: read -r -a allowed <<< "${HYGIENE_ALLOW}"
  for path in ${allowed[@]+"${allowed[@]}"}; do
    options+=(--allow "${path}")
  done
  sh "${UPLOAD}/base.run" -- hygiene "${options[@]}"
  sync
}

main "$@"
