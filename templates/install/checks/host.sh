# shellcheck shell=bash
# Preflight checks of the machine: its rights, tools, clock, memory, disks and network.

check_root() {
  if ((EUID == 0)); then
    verdict root ok "running as root"
  else
    verdict root failed "not running as root" "Run it with sudo."
  fi
}

# What every Linux with systemd has, and a kubelet needs itself.
readonly TOOLS=(awk cat chmod chown cp date df diff flock ip ln mkdir mktemp mount mv od openssl readlink rm rmdir sha256sum sleep sort
  ss stat sync tail timeout touch uname unshare)

# need_programs: what a bundle is read with is there, and is no busybox or toybox: their programs do less, and the bundle would look
# damaged to them. This is known before any of them is used.
need_programs() {
  local tool small found=''
  for tool in cat readlink sha256sum stat; do
    have "${tool}" || found+=" ${tool}"
  done
  [[ -z ${found} ]] || die "${EXIT_PREFLIGHT}" "these programs are missing:${found}" "Install the package coreutils. Nothing was changed."
  # bash's own table of where programs are: to ask for each would start a process for each
  for small in busybox toybox; do
    hash "${small}" 2> /dev/null || continue
    for tool in "${TOOLS[@]}" dd gzip head tar tee; do
      ! hash "${tool}" 2> /dev/null || [[ ! ${BASH_CMDS[${tool}]} -ef ${BASH_CMDS[${small}]} ]] || found+=" ${tool}"
    done
    [[ -z ${found} ]] || die "${EXIT_PREFLIGHT}" "these programs are those of ${small}, which do less than is needed:${found}" \
      "Install the packages coreutils, diffutils, gawk (or mawk), gzip, iproute2 (iproute), tar and util-linux. Nothing was changed."
  done
}

check_tools() {
  local tool missing=''
  if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    verdict tools failed "bash ${BASH_VERSION} is too old" "Version 4.4 or newer is needed."
    return 0
  fi
  for tool in "${TOOLS[@]}"; do
    have "${tool}" || missing+=" ${tool}"
  done
  ((${#PIECES[@]} == 0)) || for tool in dd gzip head tar tee; do
    have "${tool}" || missing+=" ${tool}"
  done
  if [[ -n ${missing} ]]; then
    verdict tools failed "these programs are missing:${missing}" "They are in the packages coreutils, diffutils, gawk (or mawk), gzip, iproute2 (iproute), openssl, tar and util-linux."
  else
    verdict tools ok "bash ${BASH_VERSINFO[0]}.${BASH_VERSINFO[1]}, openssl and all other programs are there"
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
  local version
  running || return 0
  if ! have systemctl || [[ ! -d /run/systemd/system ]]; then
    verdict systemd failed "systemd does not run this machine" "etcd is started by kubelet, and kubelet by systemd."
  else
    first_line version systemctl --version
    verdict systemd ok "${version}"
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
  now moment
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

# check_openssl: a host's policy may ask for larger keys than these. etcd, which has its own TLS, would not mind, but nobody here
# could ask it. openssl takes the certificates before it looks for the socket, which is not there.
check_openssl() {
  local text reason='SSL routines:[A-Za-z_]*:([a-z ]{3,60}):'
  running || return 0
  if ! use_bundle_keys; then
    verdict openssl ok "the certificates are tried once the keys are open"
    return 0
  fi
  with_chain "${TLS_FILES[1]}"
  text=$(timeout 10 openssl s_client -unix "${HERE}/no-socket" -CAfile "${TLS_FILES[0]}" -cert "${TLS_FILES[1]}" -key "${TLS_FILES[2]}" ${CHAIN[@]+"${CHAIN[@]}"} \
    2>&1 < /dev/null) || true
  use_host_keys
  if [[ ${text} =~ ${reason} ]]; then
    verdict openssl failed "this host's openssl does not take the bundle's certificates: ${BASH_REMATCH[1]}" \
      "Its policy asks for more (update-crypto-policies --show, /etc/ssl/openssl.cnf): set pki.encryptionAlgorithm to RSA-3072 or ECDSA-P256 and build again."
  else
    verdict openssl ok "openssl takes the bundle's certificates"
  fi
}

# database_kib: how large etcd's database is already.
database_kib() {
  local size
  number size "$(stat -c %s -- "${CONF[DATA_DIR]}/member/snap/db" 2> /dev/null || true)" || true
  printf '%d' "$((size / 1024))"
}

check_disk() {
  local need path image=0 size short='' archive index free quota=$((CONF[QUOTA_BYTES] / 1024))
  local -a needs folders=() available
  while read -r archive; do
    image=$((image + $(archive_kib "${archive}")))
  done < <(carried_archives)
  # payload and kept files are well below a MiB; etcd preallocates 64 MiB of log, twice
  needs=("${CONF[PKI_DIR]} 4096" "${CONF[STATE_DIR]} 8192" "${CONF[DATA_DIR]} 204800" "/var/lib/containerd $((image * 3))")
  for need in "${needs[@]}"; do
    # its nearest folder that exists
    path=${ROOT}${need% *}
    while [[ ! -d ${path} ]]; do path=${path%/*}; done
    folders+=("${path}/")
  done
  mapfile -t available < <(df --block-size=1K --output=avail -- "${folders[@]}")
  for index in "${!needs[@]}"; do
    path=${needs[index]% *} size=${needs[index]#* }
    running || [[ ${path} != "${CONF[DATA_DIR]}" ]] || continue
    number free "${available[index + 1]//[[:space:]]/}" || true
    ((free >= size)) || short+=" ${path} ($((free / 1024)) MiB free, $(((size + 1023) / 1024)) MiB needed);"
  done
  if [[ -n ${short} ]]; then
    verdict disk failed "too little disk space for${short%;}" "Make room there, then run this again."
  elif running && number free "${available[3]//[[:space:]]/}" && ((quota -= $(database_kib), free < quota)); then
    verdict disk warning "only $((free / 1024)) MiB free for ${CONF[DATA_DIR]}" "etcd's database may grow by $((quota / 1024)) MiB (quota-backend-bytes)."
  else
    verdict disk ok "enough disk space"
  fi
}

# kubelet_port NAME DEFAULT VARIABLE: sets it to a port in the kubelet configuration of the payload.
kubelet_port() {
  local file text=''
  payload_file "${CONF[KUBELET_CONFIG]}" file
  [[ ! -f ${file} ]] || read_text "${file}" text
  [[ $'\n'${text} =~ $'\n'"$1: "([0-9]{1,5})$'\n' ]] && printf -v "$3" '%s' "${BASH_REMATCH[1]}" || printf -v "$3" '%s' "$2"
}

check_ports() {
  local item address port owner users pid name kubelet healthz busy='' metrics=${CONF[METRICS_URL]#http://}
  local -a sockets words wanted
  running || return 0
  kubelet_port port 10250 kubelet
  kubelet_port healthzPort 10248 healthz
  metrics=${metrics%:*} metrics=${metrics#[} metrics=${metrics%]}
  wanted=("${CONF[ADDRESS]} ${CONF[CLIENT_PORT]} etcd" "${CONF[ADDRESS]} ${CONF[PEER_PORT]} etcd" "${metrics} ${CONF[METRICS_PORT]} etcd")
  [[ ${CONF[METRICS_ON]} != address ]] || wanted+=("${CONF[ADDRESS]} ${CONF[METRICS_PORT]} etcd")
  wanted+=("127.0.0.1 ${kubelet} kubelet" "127.0.0.1 ${healthz} kubelet")
  mapfile -t sockets < <(ss -H -l -t -n -p 2> /dev/null || true)
  for item in "${wanted[@]}"; do
    read -r address port owner <<< "${item}"
    users=$(listener "${address}" "${port}" ${sockets[@]+"${sockets[@]}"}) || continue
    pid='' words=() name='an unknown process'
    [[ ! ${users} =~ pid=([0-9]+) ]] || pid=${BASH_REMATCH[1]}
    [[ -z ${pid} ]] || mapfile -d '' -t words 2> /dev/null < "/proc/${pid}/cmdline" || true
    [[ -z ${words[0]-} ]] || name=${words[0]##*/}
    # a kubelet is the one we configure; an etcd must be this bundle's own
    [[ ${owner} == kubelet && ${name} == kubelet ]] && continue
    [[ ${owner} == etcd && $'\n'$(etcd_processes)$'\n' == *$'\n'"${pid:-none}"$'\n'* ]] && { own_member || is_own_log; } && continue
    busy+=" ${port} by ${name//[^[:print:]]/?}${pid:+ (process ${pid})};"
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
  local member address silent='' answer
  running || return 0
  for member in ${CONF[MEMBERS]}; do
    [[ ${member%%=*} != "${CONF[HOST]}" ]] || continue
    address=${member#*=} answer=0
    reachable "${address}" "${CONF[PEER_PORT]}" || answer=$?
    # where nothing listens, the host is there, its etcd not yet
    ((answer < 2)) || silent+=" ${member%%=*} ($(bracketed "${address}"):${CONF[PEER_PORT]})"
  done
  if [[ -n ${silent} ]]; then
    verdict peers warning "no answer from:${silent}" "If those hosts are up, a firewall may be in between."
  else
    verdict peers ok "the other members' hosts can be reached"
  fi
}
