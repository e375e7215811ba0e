# shellcheck shell=bash
# create: the first day. Every member gets its bundle, and etcd starts as a new cluster: with too few members for a
# leader it waits, and that is success.

# create_checks: the names of its checks, in order.
create_checks() {
  printf '%s\n' "${HOST_CHECKS[@]}" history data-dir destinations leftovers drop-ins unfinished quorum other-members selinux peers newcomer
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
    'start still_kept' \
    'start place_pod' \
    'start start_kubelet' \
    'start be_born' \
    'start expect_restart'
}

# create_healthy MINIMUM: started is not enough. `waiting` will do where too few others run; see await_install.
create_healthy() {
  confirm_health "$1"
}

# create_places PATH: every file of the bundle that has a place on the host.
create_places() {
  true
}

# create_in_place: the static Pod, and a kubelet that starts it.
create_in_place() {
  manifest_in_place || return 1
  running || return 0
  starts_at_boot && [[ $(kubelet_active) == active ]] && start_is_ours
}

# create_peers: how many other members run.
create_peers() {
  peers_up
}

create_waiting() {
  printf 'run so far; etcd starts to serve'
}
