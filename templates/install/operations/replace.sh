# shellcheck shell=bash
# replace: a member that is lost comes back. It is taken out of the list, and another one comes in its place, as for add: under
# its old identity it must never start without its log. Where its data is here, and only its address is another one, it keeps
# its identity. The other hosts, if its address is new to them, get what tells them of it.

# is_replaced: is this the host that is replaced? Its birth names it alone among those that were members.
is_replaced() {
  [[ ${CONF[INITIAL_STATE]} == existing && ${CONF[REPLACED]} == "${CONF[HOST]}" ]]
}

# old_url: the peer URL that etcd has for the member that is replaced.
old_url() {
  local member
  for member in ${CONF[MEMBERS_BEFORE]}; do
    [[ ${member%%=*} != "${CONF[HOST]}" ]] || peer_url "${member#*=}"
  done
}

replace_checks() {
  if is_replaced; then
    printf '%s\n' "${HOST_CHECKS[@]}" history data-dir destinations leftovers drop-ins unfinished replaceable selinux
  else
    renew_checks
  fi
}

replace_steps() {
  if ! is_replaced; then
    renew_steps
  elif [[ ${MOVES} == yes ]]; then
    printf '%s\n' \
      'place place_files' \
      'place place_copy' \
      'images import_images' \
      'start reload_units' \
      'start move_member' \
      'start place_pod' \
      'start start_kubelet' \
      'start expect_restart'
  else
    printf '%s\n' \
      'place place_files' \
      'place place_copy' \
      'images import_images' \
      'start take_old_away' \
      'start make_data_folder' \
      'start reload_units' \
      'start remove_old' \
      'start join_cluster' \
      'start place_pod' \
      'start start_kubelet' \
      'start be_born' \
      'start become_voter'
  fi
}

replace_places() {
  is_replaced || renew_places "$1"
}

replace_in_place() {
  ! is_replaced || create_in_place
}

replace_peers() {
  create_peers
}

replace_waiting() {
  create_waiting
}

replace_healthy() {
  if is_replaced; then
    confirm_health member
  else
    renew_healthy "$1"
  fi
}

MOVES=no # is its data here, and only its address another one?

# check_replaceable: is the member lost, and can the others do without it?
check_replaceable() {
  local id='' address
  MOVES=no
  running || return 0
  if ! use_bundle_keys; then
    verdict replaceable ok "the members are asked once the keys are open"
    return 0
  fi
  address=$(old_url)
  address=${address#https://}
  address=${address%:*} address=${address#[} address=${address%]}
  if ! survey; then
    verdict replaceable failed "${NOT_JOINABLE}" "${JOIN_HINT}"
  elif is_moving; then
    MOVES=yes
    verdict replaceable ok "the data of ${CONF[HOST]} is here: it keeps its identity, under another address"
  elif ! id_of "$(old_url)" id || came_anew "${id}"; then
    verdict replaceable ok "the lost member is out of the list already"
  elif (($(voters) < 3)) && [[ ${KIND_OF[${id}]} == voter ]]; then
    verdict replaceable failed "of $(voters) members one is lost: there is no quorum, and without one nobody is taken out or added" \
      "The way back is the data of the member that is left, or a snapshot of it."
  elif ask_members "${CONF[HOST]}=${address}" && [[ ${MEMBER_STATE[${CONF[HOST]}]} != silent ]]; then
    verdict replaceable failed "${CONF[HOST]} (${address}) answers, so it is not lost" \
      "If its data is wrong, stop it first, on its host: systemctl stop kubelet; pkill -x etcd"
  else
    verdict replaceable ok "${CONF[HOST]} does not answer, and all others serve"
  fi
  use_host_keys
}

# is_moving: after survey. The log here is that of the member that etcd lists under the old address.
is_moving() {
  local id
  [[ $(old_url) != "$(peer_url "${CONF[ADDRESS]}")" ]] && has_log && whose_log || return 1
  id_of "$(old_url)" id || id_of "$(peer_url "${CONF[ADDRESS]}")" id || return 1
  [[ ${LOG_MEMBER} == "${id}" ]] && ! journal_has "${STATE}/transaction" gone
}

# came_anew ID: has an interrupted run of this bundle added this one? It asks for that only when the lost one is out of the list, which
# it may have found so.
came_anew() {
  local gone
  interrupted || return 1
  ! journal_has "${STATE}/transaction" joins || return 0
  gone=$(journal_line "${STATE}/transaction" gone) && [[ ${gone} != "$1" ]]
}

# take_old_away: nothing may start the lost member again, and what is left of its data is kept beside.
take_old_away() {
  local pod=${CONF[STATIC_POD_MANIFEST]}
  if ! journal_has "${JOURNAL}" gone && [[ -e ${ROOT}${pod} ]]; then
    back_up "${pod}"
    rm -f -- "${ROOT}${pod}"
    stop_etcd
  fi
  journal_has "${JOURNAL}" gone && return 0
  move_data_aside "what is left of the lost member"
  ! running || note_etcd
}

# move_data_aside WHAT: so that another member can be born here; it is never deleted.
move_data_aside() {
  local path target
  for path in "${CONF[DATA_DIR]}/member" ${CONF[WAL_DIR]:+"${CONF[WAL_DIR]}"}; do
    [[ -d ${ROOT}${path} ]] || continue
    name_aside "${ROOT}${path}" target
    target=${target#"${ROOT}"}
    journal aside "${path} ${target}"
    mv -T -- "${ROOT}${path}" "${ROOT}${target}"
    MOVED_ASIDE+=("${target}")
    say "  moved $1 to ${target}; delete it yourself when nobody needs it"
  done
  [[ ! -e ${STATE}/member ]] || back_up "${CONF[STATE_DIR]}/member"
  forget_member
}

# undo_aside "FROM TO"
undo_aside() {
  local from=${ROOT}${1% *} to=${ROOT}${1#* }
  [[ -d ${to} && ! -e ${from} ]] || return 0
  mv -T -- "${to}" "${from}" || trouble "cannot move ${to} back to ${from}"
}

# remove_old: the lost member out of the list, once all others were asked again. What an interrupted run has begun is told by the
# identity that it had.
remove_old() {
  local id
  running || return 0
  survey || die "${EXIT_FAILED}" "${NOT_JOINABLE}" "${JOIN_HINT}"
  id_of "$(old_url)" id || return 0
  ! came_anew "${id}" || return 0
  journal_has "${JOURNAL}" gone || journal gone "${id}"
  remove_member "${VOTER}" "${id}" \
    || die "${EXIT_FAILED}" "etcd does not take the lost member out of its list: ${WHY}" "bundlegen-health --cluster on another host says what is wrong."
  say "  the lost member of ${CONF[HOST]} is out of the member list"
}

undo_gone() { :; }

# move_member: etcd is told of the new address before it starts under it.
move_member() {
  local id own code=0
  running || return 0
  survey || die "${EXIT_FAILED}" "${NOT_JOINABLE}" "${JOIN_HINT}"
  own=$(peer_url "${CONF[ADDRESS]}")
  ! id_of "${own}" id || return 0
  id_of "$(old_url)" id || die "${EXIT_FAILED}" "etcd lists ${CONF[HOST]} under no address that this bundle knows"
  journal_has "${JOURNAL}" moved || journal moved "${id} $(old_url)"
  change_members "${VOTER}" update "{\"ID\":\"${id}\",\"peerURLs\":[\"${own}\"]}" || code=$?
  if ((code != 0)) && ! { list_members "${VOTER}" && id_of "${own}" id; }; then
    die "${EXIT_FAILED}" "etcd does not take the new address of ${CONF[HOST]}: ${WHY}" "bundlegen-health --cluster on another host says what is wrong."
  fi
  say "  etcd knows ${CONF[HOST]} at ${own}"
}

# undo_moved "ID URL"
undo_moved() {
  local member
  running || return 0
  for member in ${CONF[MEMBERS]}; do
    [[ ${member%%=*} != "${CONF[HOST]}" ]] || continue
    change_members "${member#*=}" update "{\"ID\":\"${1% *}\",\"peerURLs\":[\"${1#* }\"]}" && return 0
  done
  trouble "etcd could not be told the former address of ${CONF[HOST]} (${1#* }): ${WHY}" "Run this again in a while."
}
