# shellcheck shell=bash
# This machine's names and addresses, what listens here, and whether others can be reached.

# bracketed ADDRESS: as it stands in a URL.
bracketed() {
  case $1 in
    *:*) printf '[%s]' "$1" ;;
    *) printf '%s' "$1" ;;
  esac
}

# has_address ADDRESS: is it on one of this machine's interfaces?
has_address() {
  have ip || die "${EXIT_PREFLIGHT}" "ip is not installed; it tells this host's addresses" "It is part of the package iproute2 (iproute)."
  [[ -n $(ip -oneline address show to "$1" 2> /dev/null || true) ]]
}

# listener ADDRESS PORT SOCKET...: of these lines of \`ss -Hltnp\`, prints the processes of the one that listens there, or on
# all addresses; fails if there is none.
listener() {
  local address=$1 port=$2 socket place users
  for socket in "${@:3}"; do
    read -r _ _ _ place _ users <<< "${socket}"
    [[ ${place##*:} == "${port}" ]] || continue
    place=${place%:*}
    if [[ ${place%\%*} == @("${address}"|"[${address}]"|0.0.0.0|\*|'[::]') ]]; then
      printf '%s' "${users}"
      return 0
    fi
  done
  return 1
}

STRANGER='' # who listens on a port of this member's, if that is not its etcd

# own_listener LOOPBACK-ADDRESS PORT: does this member's etcd listen there? Any user could, while it does not.
own_listener() {
  local pid socket
  local -A sockets=() own=() # INODE: the user; and those that our etcd has
  STRANGER=''
  listening "$1" "$2" /proc/net/tcp
  listening "$1" "$2" /proc/net/tcp6
  ((${#sockets[@]} > 0)) || return 1
  find_etcd
  for pid in ${ETCD_PIDS[@]+"${ETCD_PIDS[@]}"}; do
    while read -r socket; do
      [[ ! ${socket} =~ ^socket:\[([0-9]+)\]$ ]] || own[${BASH_REMATCH[1]}]=yes
    done < <(readlink -- "/proc/${pid}/fd"/* 2> /dev/null || true)
  done
  for socket in "${!sockets[@]}"; do
    [[ -n ${own[${socket}]-} ]] || STRANGER="a process of the user with the number ${sockets[${socket}]}"
  done
  [[ -z ${STRANGER} ]]
}

# listening LOOPBACK-ADDRESS PORT FILE: adds to the caller's `sockets` what listens there, of a table of the kernel's.
listening() {
  local port place state user inode shapes
  # as the kernel writes them on machines of either byte order, and all addresses at once
  case $1 in
    127.0.0.1) shapes=' 0100007F 7F000001 ' ;;
    *) shapes=' 00000000000000000000000001000000 00000000000000000000000000000001 ' ;;
  esac
  shapes+=' 00000000 00000000000000000000000000000000 0000000000000000FFFF00000100007F '
  printf -v port '%04X' "$2"
  [[ -r $3 ]] || return 0
  while read -r _ place _ state _ _ _ user _ inode _; do
    # those that listen come first
    [[ ${state} == 0A || ${state} == st ]] || break
    [[ ${place##*:} == "${port}" && ${shapes} == *" ${place%:*} "* && ${user}/${inode} =~ ^[0-9]{1,10}/[0-9]{1,20}$ ]] || continue
    sockets[${inode}]=${user}
  done < "$3"
}

# reachable ADDRESS PORT: 0 if something accepts connections there, 1 if nothing does, 2 if there is no answer: a firewall, or
# no such machine.
reachable() {
  local message
  # shellcheck disable=SC2016  # the inner shell expands its own arguments
  message=$(timeout 3 /bin/bash -p -c 'exec 3<> "/dev/tcp/$1/$2"' _ "$1" "$2" 2>&1) && return 0
  [[ ${message} != *refused* ]] || return 1
  return 2
}

host_name() {
  local name=''
  if [[ -n ${ROOT} ]]; then
    [[ ! -r ${ROOT}/etc/hostname ]] || read -r name < "${ROOT}/etc/hostname" || true
  else
    read -r name < /proc/sys/kernel/hostname || true
  fi
  printf '%s' "${name}"
}

machine_id() {
  local id=''
  [[ ! -r ${ROOT}/etc/machine-id ]] || read -r id < "${ROOT}/etc/machine-id" || true
  printf '%s' "${id}"
}
