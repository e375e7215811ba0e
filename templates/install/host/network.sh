# shellcheck shell=bash
# What the kernel says about this machine's addresses and ports: /proc, so no `ip` or `ss` is needed.

# bracketed ADDRESS: as it stands in a URL.
bracketed() {
  case $1 in
    *:*) printf '[%s]' "$1" ;;
    *) printf '%s' "$1" ;;
  esac
}

# ipv6_hex ADDRESS: the 32 hexadecimal digits of an IPv6 address, as in /proc/net/if_inet6.
ipv6_hex() {
  local left=${1%%::*} right='' group out='' filled
  local -a head=() tail=()
  [[ $1 != *::* ]] || right=${1#*::}
  IFS=: read -r -a head <<< "${left}"
  IFS=: read -r -a tail <<< "${right}"
  filled=$((8 - ${#head[@]} - ${#tail[@]}))
  for group in ${head[@]+"${head[@]}"}; do
    printf -v out '%s%04x' "${out}" "0x${group}"
  done
  for (( ; filled > 0; filled--)); do
    out+='0000'
  done
  for group in ${tail[@]+"${tail[@]}"}; do
    printf -v out '%s%04x' "${out}" "0x${group}"
  done
  printf '%s' "${out}"
}

# has_ipv4 ADDRESS: a leaf of the routing tree, followed by `/32 host LOCAL` if it is this machine's.
has_ipv4() {
  local line address='' leaf='\|-- ([0-9.]+)$'
  while IFS= read -r line; do
    if [[ ${line} =~ ${leaf} ]]; then
      address=${BASH_REMATCH[1]}
    elif [[ ${address} == "$1" && ${line} == *'/32 host LOCAL'* ]]; then
      return 0
    fi
  done < /proc/net/fib_trie
  return 1
}

# has_address ADDRESS: is it on one of this machine's interfaces?
has_address() {
  local found wanted
  case $1 in
    *:*)
      [[ -r /proc/net/if_inet6 ]] || return 1
      wanted=$(ipv6_hex "$1")
      while read -r found _; do
        [[ ${found} != "${wanted}" ]] || return 0
      done < /proc/net/if_inet6
      ;;
    *) has_ipv4 "$1" && return 0 ;;
  esac
  return 1
}

# address_patterns ADDRESS: how /proc/net/tcp and tcp6 may write it, wildcards included. The kernel prints
# 32-bit words in the machine's byte order; both orders are accepted, since a false match costs little.
address_patterns() {
  local hex word swapped='' octet
  case $1 in
    *:*)
      hex=$(ipv6_hex "$1")
      for word in "${hex:0:8}" "${hex:8:8}" "${hex:16:8}" "${hex:24:8}"; do
        swapped+=${word:6:2}${word:4:2}${word:2:2}${word:0:2}
      done
      ;;
    *)
      hex=''
      for octet in ${1//./ }; do
        printf -v hex '%s%02x' "${hex}" "${octet}"
      done
      swapped=${hex:6:2}${hex:4:2}${hex:2:2}${hex:0:2}
      ;;
  esac
  printf '%s %s 00000000 00000000000000000000000000000000' "${hex^^}" "${swapped^^}"
}

# listener ADDRESS PORT: prints the socket's inode if something listens there (or on all addresses).
listener() {
  local table local_address state inode patterns port
  patterns=" $(address_patterns "$1") "
  printf -v port '%04X' "$2"
  for table in /proc/net/tcp /proc/net/tcp6; do
    [[ -r ${table} ]] || continue
    while read -r _ local_address _ state _ _ _ _ _ inode _; do
      # 0A: LISTEN
      [[ ${state} == 0A && ${local_address#*:} == "${port}" ]] || continue
      [[ ${patterns} == *" ${local_address%:*} "* ]] || continue
      printf '%s' "${inode}"
      return 0
    done < "${table}"
  done
  return 1
}

# socket_owner INODE: the process id that holds the socket.
socket_owner() {
  local process link
  for process in /proc/[0-9]*; do
    while IFS= read -r link; do
      if [[ ${link} == "socket:[$1]" ]]; then
        printf '%s' "${process#/proc/}"
        return 0
      fi
    done < <(readlink "${process}"/fd/* 2> /dev/null || true)
  done
  return 1
}

# reachable ADDRESS PORT: sets REACH to open, refused or silent (a firewall, or no such machine).
reachable() {
  local message
  # shellcheck disable=SC2016  # the inner shell expands its own arguments
  if message=$(timeout 3 /bin/bash -p -c 'exec 3<> "/dev/tcp/$1/$2"' _ "$1" "$2" 2>&1); then
    REACH=open
  elif [[ ${message} == *refused* ]]; then
    REACH=refused
  else
    REACH=silent
  fi
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
