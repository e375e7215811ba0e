# shellcheck shell=bash
# configure: other flags, kubelet fields, names or validity on a member that runs. Only what reads a changed file when
# it starts is restarted.

configure_checks() {
  printf '%s\n' "${HOST_CHECKS[@]}" history data-dir member-data destinations leftovers drop-ins unfinished quorum other-members selinux peers
}

configure_steps() {
  create_steps
}

configure_healthy() {
  confirm_health "$1"
}

configure_places() {
  create_places "$1"
}

configure_in_place() {
  create_in_place
}

configure_peers() {
  create_peers
}

configure_waiting() {
  create_waiting
}

# check_member_data: what is changed is a member that has lived: its log is here.
check_member_data() {
  running || return 0
  if has_log; then
    verdict member-data ok "etcd's log is in its place"
  else
    verdict member-data failed "there is no log of etcd in ${CONF[WAL_DIR]:-${CONF[DATA_DIR]}/member/wal}, so there is no member to be changed" \
      "$(how_to_mend)"
  fi
}
