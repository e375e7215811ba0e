# shellcheck shell=bash
# add: a new member for a cluster that runs. It comes as a learner, which has no vote, and gets its vote when it holds all data.
# The hosts that are members already get what tells them of it, as renew places it, and nothing restarts there.

add_checks() {
  if is_newcomer; then
    printf '%s\n' "${HOST_CHECKS[@]}" history data-dir destinations leftovers drop-ins unfinished joining selinux
  else
    renew_checks
  fi
}

add_steps() {
  if is_newcomer; then
    printf '%s\n' \
      'place place_files' \
      'place place_copy' \
      'images import_images' \
      'start make_data_folder' \
      'start reload_units' \
      'start join_cluster' \
      'start place_pod' \
      'start start_kubelet' \
      'start be_born' \
      'start become_voter'
  else
    renew_steps
  fi
}

add_places() {
  is_newcomer || renew_places "$1"
}

add_in_place() {
  ! is_newcomer || create_in_place
}

add_peers() {
  create_peers
}

add_waiting() {
  create_waiting
}

add_healthy() {
  if is_newcomer; then
    confirm_health member
  else
    renew_healthy "$1"
  fi
}

# join_cluster: into the list, as a learner, unless it is there already. All members are asked again, right before.
join_cluster() {
  local own id start=${SECONDS} code
  running || return 0
  own=$(peer_url "${CONF[ADDRESS]}")
  while true; do
    survey || die "${EXIT_FAILED}" "${NOT_JOINABLE}" "${JOIN_HINT}"
    { journal_has "${JOURNAL}" joins && ! has_left "${JOURNAL}"; } || journal joins "${own}"
    ! id_of "${own}" id || break
    code=0
    change_members "${VOTER}" add "{\"peerURLs\":[\"${own}\"],\"isLearner\":true}" || code=$?
    if { ((code == 1)) && ! passes; } || ((SECONDS - start >= 40)); then
      die "${EXIT_FAILED}" "etcd does not add ${CONF[HOST]}: ${WHY}" "bundlegen-health --cluster on a member's host says what is wrong."
    fi
    ((code == 0)) || sleep 1
  done
  say "  ${CONF[HOST]} is in the member list, as a ${KIND_OF[${id}]}"
}

# passes: is what etcd says over soon? A member that was started counts as unhealthy for 5 s; an id that was removed is banned
# within the second in which it was.
passes() {
  [[ ${WHY} == @(*'unhealthy cluster'*|*'member not found'*|*'already exists'*) ]]
}

# become_voter: when it has caught up, which the leader decides.
become_voter() {
  local own id start=${SECONDS} code
  running || return 0
  own=$(peer_url "${CONF[ADDRESS]}")
  say "Waiting until this member holds all data (at most ${SECONDS_TO_WAIT} s) ..."
  start_progress
  REASON='etcd has not started yet'
  while true; do
    if find_right && probe_local && list_members "${VOTER}" && id_of "${own}" id; then
      [[ ${KIND_OF[${id}]} == learner ]] || break
      code=0
      change_members "${VOTER}" promote "{\"ID\":\"${id}\"}" || code=$?
      ((code != 1)) || REASON="it has no vote yet: ${WHY}"
      ((code != 0)) || continue
    elif is_hopeless; then
      end_progress
      not_healthy
    fi
    if ((SECONDS - start >= SECONDS_TO_WAIT)); then
      end_progress
      not_healthy
    fi
    progress "$((SECONDS - start))" "${REASON}"
    sleep 1
  done
  end_progress
  say "  ${CONF[HOST]} has a vote"
}

undo_joins() { :; }

undo_left() { :; }

# has_left FOLDER: has an interrupted undoing taken the member out of the list? It may have taken away the keys since then.
has_left() {
  local word left=no
  [[ -f $1/journal ]] || return 1
  while read -r word _; do
    case ${word} in
      left) left=yes ;;
      joins) left=no ;;
      *) ;;
    esac
  done < "$1/journal"
  [[ ${left} == yes ]]
}

LEFT=no # has this member left the cluster for ever, so that no etcd is to run here?

# leave_first FOLDER...: a member that came with one of these goes before its etcd is stopped, while the cluster can still agree
# on it. Fails where it cannot be taken out of the list.
leave_first() {
  local folder url
  LEFT=no
  running || return 0
  for folder in "$@"; do
    if has_left "${folder}"; then
      LEFT=yes
    elif url=$(journal_line "${folder}" joins) && [[ ${url} == "$(peer_url "${CONF[ADDRESS]}")" ]]; then
      if leave_cluster; then
        { printf 'left\n' >> "${folder}/journal" && sync -- "${folder}/journal"; } || {
          trouble "cannot write to ${folder}/journal" "Make room or make it writable, then run this again."
          return 1
        }
      else
        [[ ${VERB} == uninstall ]] || {
          trouble "${CANNOT_LEAVE}" "Then run this again."
          return 1
        }
        warn "${CANNOT_LEAVE}. Uninstalled all the same; if the cluster is to live on, take ${CONF[HOST]} out of it: bundlegen build SPEC --by HOST"
      fi
      LEFT=yes
    elif journal_has "${folder}" gone; then
      LEFT=yes
    fi
  done
}
