# shellcheck shell=bash
# create: the first day. Every member gets its bundle, and etcd starts as a new cluster: with too few members for a
# leader it waits, and that is success.

# create_checks: the names of its checks, in order.
create_checks() {
  printf '%s\n' "${HOST_CHECKS[@]}" data-dir leftovers drop-ins unfinished selinux peers
}

# create_steps: what is done, in order: the phase that the receipt counts the time for, and the function. The static Pod
# comes after everything that it needs, for a kubelet that runs may start etcd at once.
create_steps() {
  printf '%s\n' \
    'place place_files' \
    'place place_copy' \
    'images import_images' \
    'start make_data_folder' \
    'start reload_units' \
    'start place_pod' \
    'start start_kubelet' \
    'start restart_for_ca'
}

# create_healthy MINIMUM: started is not enough. `waiting` will do where too few others run; see await_install.
create_healthy() {
  local count
  running || return 0
  say "Waiting for etcd (at most ${SECONDS_TO_WAIT} s) ..."
  await_install "$1" \
    || die "${EXIT_FAILED}" "etcd did not become healthy: ${REASON}" "kubelet's last words:" "$(kubelet_log 8)" "$(etcd_log 12)"
  [[ ${LEVEL} == member || ${LEVEL} == cluster ]] || return 0
  count=$(listed_members) || return 0
  ((count == $(member_count))) \
    || die "${EXIT_FAILED}" "etcd lists ${count} members instead of $(member_count): it belongs to another cluster" \
      "Look for old data on the other hosts, or a wrong network."
}
