# shellcheck shell=bash
# Preflight checks of the machine: its rights, tools, clock, memory, disks and network.

check_root() {
  if ((EUID == 0)); then
    verdict root ok "running as root"
  else
    verdict root failed "not running as root" "Run it with sudo."
  fi
}

# What is used of coreutils and openssl; the rest is bash.
readonly TOOLS=(cat chmod chown cp date df ln mkdir mv openssl readlink rm rmdir sha256sum sleep sort stat sync tail timeout)

check_tools() {
  local tool missing=''
  if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    verdict tools failed "bash ${BASH_VERSION} is too old" "Version 4.4 or newer is needed."
    return 0
  fi
  for tool in "${TOOLS[@]}"; do
    have "${tool}" || missing+=" ${tool}"
  done
  ((${#PIECES[@]} == 0)) || for tool in dd gzip tar; do
    have "${tool}" || missing+=" ${tool}"
  done
  if [[ -n ${missing} ]]; then
    verdict tools failed "these programs are missing:${missing}" "Install the packages coreutils, openssl, gzip and tar."
  else
    verdict tools ok "bash ${BASH_VERSINFO[0]}.${BASH_VERSINFO[1]}, coreutils and openssl are there"
  fi
}

check_architecture() {
  local machine
  machine=$(uname -m)
  if [[ -n ${CONF[ARCHITECTURE]} && ${CONF[ARCHITECTURE]} != "${machine}" ]]; then
    verdict architecture failed "this machine is ${machine}, the images in the bundle are for ${CONF[ARCHITECTURE]}" \
      "Build the bundle with images for ${machine}."
  else
    verdict architecture ok "${machine}"
  fi
}

check_systemd() {
  running || return 0
  if ! have systemctl || [[ ! -d /run/systemd/system ]]; then
    verdict systemd failed "systemd does not run this machine" "etcd is started by kubelet, and kubelet by systemd."
  else
    verdict systemd ok "$(first_line systemctl --version)"
  fi
}

check_hostname() {
  local name
  name=$(host_name)
  # DNS names have no case, and either may be the other with its domain
  if [[ ${name,,} == "${CONF[HOST]}" || ${name,,} == "${CONF[HOST]}".* || (-n ${name} && ${CONF[HOST]} == "${name,,}".*) ]]; then
    verdict hostname ok "this host is called ${name}"
  else
    verdict hostname warning "this host is called ${name:-nothing}, the bundle is for ${CONF[HOST]}" \
      "Its address is right, so this is only a reminder."
  fi
}

check_swap() {
  local device kind rest devices=''
  running || return 0
  while read -r device kind rest; do
    [[ ${device} == Filename || -z ${device} ]] || devices+=" ${device}"
  done < /proc/swaps
  if [[ -z ${devices} ]]; then
    verdict swap ok "swap is off"
  elif [[ ${CONF[KUBELET_FAIL_SWAP_ON]} == true ]]; then
    verdict swap failed "swap is on:${devices}; kubelet would refuse to start" \
      "Switch it off (swapoff -a, and in /etc/fstab), or set kubelet.extraConfig failSwapOn: false and build again."
  else
    verdict swap ok "swap is on, and kubelet is told not to mind"
  fi
}

check_clock() {
  local moment
  moment=$(now)
  if ((moment < CONF[NOT_BEFORE])); then
    verdict clock failed "this host's clock says $(iso_time "${moment}"), but the certificates are valid only from $(iso_time "${CONF[NOT_BEFORE]}"): the clock is behind" \
      "Set the clock (timedatectl, chronyc), then run this again."
  elif ((moment > CONF[NOT_AFTER])); then
    verdict clock failed "this host's clock says $(iso_time "${moment}"), but the certificates ended at $(iso_time "${CONF[NOT_AFTER]}"): the clock is ahead, or the bundle is too old" \
      "Compare with another clock; set this one, or build new bundles."
  elif ((moment < CONF[ISSUED_AT])); then
    verdict clock warning "this host's clock is at least $((CONF[ISSUED_AT] - moment)) s behind the one that made the bundle" \
      "The certificates allow for it; set the clock all the same."
  else
    verdict clock ok "$(iso_time "${moment}") is inside the certificates' validity"
  fi
}

# free_kib PATH: on the file system of its nearest existing folder.
free_kib() {
  local path=${ROOT}$1
  local -a lines
  while [[ ! -d ${path} ]]; do
    path=${path%/*}
  done
  mapfile -t lines < <(df --block-size=1K --output=avail -- "${path}/")
  printf '%d' "${lines[1]}"
}

check_disk() {
  local path image=0 needed free short='' archive
  while read -r archive; do
    image=$((image + $(archive_kib "${archive}")))
  done < <(carried_archives)
  # payload and kept files are well below a MiB; etcd preallocates 64 MiB of log, twice
  for path in "${CONF[PKI_DIR]} 4096" "${CONF[STATE_DIR]} 8192" "${CONF[DATA_DIR]} 204800" "/var/lib/containerd $((image * 3))"; do
    needed=${path#* } path=${path% *}
    running || [[ ${path} != "${CONF[DATA_DIR]}" ]] || continue
    free=$(free_kib "${path}")
    ((free >= needed)) || short+=" ${path} ($((free / 1024)) MiB free, $(((needed + 1023) / 1024)) MiB needed);"
  done
  if [[ -n ${short} ]]; then
    verdict disk failed "too little disk space for${short%;}" "Make room there, then run this again."
  elif running && ((free = $(free_kib "${CONF[DATA_DIR]}"), free < 2097152)); then
    verdict disk warning "only $((free / 1024)) MiB free for ${CONF[DATA_DIR]}" "etcd's database may grow to 2 GiB."
  else
    verdict disk ok "enough disk space"
  fi
}

# port_user INODE: who holds a socket, in words; sets PORT_PID.
port_user() {
  local -a words=()
  PORT_PID=$(socket_owner "$1") || PORT_PID=''
  [[ -z ${PORT_PID} ]] || mapfile -d '' -t words 2> /dev/null < "/proc/${PORT_PID}/cmdline" || true
  PORT_COMMAND=${words[0]-an unknown process}
  PORT_COMMAND=${PORT_COMMAND##*/}
}

# kubelet_port NAME DEFAULT: a port in the kubelet configuration of the payload.
kubelet_port() {
  local key value file
  file=$(payload_file "${CONF[KUBELET_CONFIG]}")
  if [[ -f ${file} ]]; then
    while read -r key value; do
      if [[ ${key} == "$1:" && ${value} =~ ^[0-9]+$ ]]; then
        printf '%d' "${value}"
        return 0
      fi
    done < "${file}"
  fi
  printf '%d' "$2"
}

check_ports() {
  local item busy='' metrics=${CONF[METRICS_URL]#http://} on_address='' address port owner inode
  running || return 0
  metrics=${metrics%:*}
  metrics=${metrics#[}
  [[ ${CONF[METRICS_ON]} != address ]] || on_address="${CONF[ADDRESS]} ${CONF[METRICS_PORT]} etcd"
  for item in "${CONF[ADDRESS]} ${CONF[CLIENT_PORT]} etcd" "${CONF[ADDRESS]} ${CONF[PEER_PORT]} etcd" \
    "${metrics%]} ${CONF[METRICS_PORT]} etcd" ${on_address:+"${on_address}"} "127.0.0.1 $(kubelet_port port 10250) kubelet" \
    "127.0.0.1 $(kubelet_port healthzPort 10248) kubelet"; do
    read -r address port owner <<< "${item}"
    inode=$(listener "${address}" "${port}") || continue
    port_user "${inode}"
    # a kubelet is the one we configure; an etcd must be this bundle's own
    [[ ${owner} == kubelet && ${PORT_COMMAND} == kubelet ]] && continue
    [[ ${owner} == etcd && " $(etcd_processes) " == *[[:space:]]"${PORT_PID:-none}"[[:space:]]* ]] && own_member && continue
    busy+=" ${port} by ${PORT_COMMAND}${PORT_PID:+ (process ${PORT_PID})};"
  done
  if [[ -n ${busy} ]]; then
    verdict ports failed "these ports are in use:${busy%;}" "Stop what uses them, or choose other ports in the specification."
  else
    verdict ports ok "the ports are free, or held by this bundle's own etcd and kubelet"
  fi
}

check_selinux() {
  local enforce=0
  running || return 0
  [[ ! -r /sys/fs/selinux/enforce ]] || read -r enforce < /sys/fs/selinux/enforce || true
  if [[ ${enforce} == 1 ]]; then
    verdict selinux warning "SELinux is enforcing; it may keep etcd's container from ${CONF[PKI_DIR]} and ${CONF[DATA_DIR]}" \
      "The package container-selinux brings the rules; \`ausearch -m avc\` shows what was refused."
  else
    verdict selinux ok "SELinux is not enforcing"
  fi
}

check_peers() {
  local name silent='' address
  running || return 0
  while read -r name; do
    [[ ${name} != "${CONF[HOST]}" ]] || continue
    address=$(member_address "${name}")
    reachable "${address}" "${CONF[PEER_PORT]}"
    # refused: the host is there, its etcd not yet
    [[ ${REACH} != silent ]] || silent+=" ${name} ($(bracketed "${address}"):${CONF[PEER_PORT]})"
  done < <(member_names)
  if [[ -n ${silent} ]]; then
    verdict peers warning "no answer from:${silent}" "If those hosts are up, a firewall may be in between."
  else
    verdict peers ok "the other members' hosts can be reached"
  fi
}
