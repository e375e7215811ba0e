# shellcheck shell=bash
# upgrade: another etcd, and what another kubeadm makes of the manifest, on a member that runs. As configure, with more
# asked before; and the way back ends when the cluster itself has gone up.

upgrade_checks() {
  printf '%s\n' "${HOST_CHECKS[@]}" history data-dir member-data destinations leftovers drop-ins unfinished quorum other-members \
    versions alarms leader selinux peers
}

upgrade_steps() {
  printf '%s\n' \
    'place snapshot_before_restart' \
    'place place_files' \
    'place place_copy' \
    'images import_images' \
    'start reload_units' \
    'start still_kept' \
    'start note_version' \
    'start place_pod' \
    'start start_kubelet' \
    'start expect_restart'
}

upgrade_places() {
  create_places "$1"
}

upgrade_in_place() {
  create_in_place
}

upgrade_peers() {
  create_peers
}

upgrade_waiting() {
  create_waiting
}

upgrade_healthy() {
  local earlier=${RUNS[${CONF[HOST]}]-} version tag=${CONF[ETCD_IMAGE]##*:}
  confirm_health "$1"
  running && ask_version "${CONF[ADDRESS]}" version || return 0
  say "  etcd ${version} serves now${earlier:+, and ${earlier} did before}; the cluster is at ${CLUSTER_RUNS}"
  [[ ! ${tag#v} =~ ^(${VERSION_SHAPE}) || ${BASH_REMATCH[1]} == "${version}" ]] \
    || warn "${CONF[ETCD_IMAGE]} holds etcd ${version}, which its name does not say"
}

snapshot_before_restart() {
  [[ ${RESTARTS} == no ]] || snapshot_before
}

# note_version: before another etcd runs, which one the way back leads to.
note_version() {
  [[ -n ${RUNS[${CONF[HOST]}]-} && -z $(journal_line "${JOURNAL}" version || true) ]] || return 0
  journal version "${RUNS[${CONF[HOST]}]}"
}

# undo_version VERSION: nothing was done by noting it.
undo_version() { :; }

GONE_UP=''

# gone_up FOLDER...: would undoing these bring back an etcd that is older than the cluster has become? It would not
# start. How is in GONE_UP. If nobody can be asked, nobody knows.
gone_up() {
  local folder before name version
  GONE_UP=''
  running || return 1
  for folder in "$@"; do
    before=$(journal_line "${folder}" version) || continue
    [[ ${before} =~ ^${VERSION_SHAPE}$ ]] || continue
    while read -r name; do
      ask_version "$(member_address "${name}")" version || continue
      (($(etcd_minor "${CLUSTER_RUNS}") > $(etcd_minor "${before}"))) || break
      GONE_UP="the cluster has gone up to etcd ${CLUSTER_RUNS}, and etcd ${before}, which would come back here, does not start with it"
      return 0
    done < <(member_names)
  done
  return 1
}
