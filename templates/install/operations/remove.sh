# shellcheck shell=bash
# remove: members leave the cluster. Each takes itself out, while the others agree on it, and its host is as before bundlegen. Of a
# host that is gone, another one does it. The hosts that stay get what tells them, and nothing restarts there.

# goes: does this host's member leave?
goes() {
  [[ ${CONF[OPERATION]} == remove && " ${CONF[REMOVES]} " == *" ${CONF[HOST]} "* ]]
}

remove_checks() {
  if goes; then
    printf '%s\n' root tools systemd history unfinished leaving
  else
    renew_checks
    [[ -z ${CONF[REMOVES]} ]] || printf 'gone\n'
  fi
}

remove_steps() {
  renew_steps
  [[ -z ${CONF[REMOVES]} ]] || printf 'start take_gone_out\n'
}

remove_places() {
  renew_places "$1"
}

remove_in_place() {
  local name id
  running && [[ -n ${CONF[REMOVES]} ]] || return 0
  list_members "${CONF[ADDRESS]}" || return 1
  for name in ${CONF[REMOVES]}; do
    ! id_of "$(url_before "${name}")" id || return 1
  done
}

remove_peers() {
  create_peers
}

remove_waiting() {
  create_waiting
}

remove_healthy() {
  renew_healthy "$1"
}

# address_before NAME: of a member before this change.
address_before() {
  local member
  for member in ${CONF[MEMBERS_BEFORE]}; do
    [[ ${member%%=*} != "$1" ]] || printf '%s' "${member#*=}"
  done
}

url_before() {
  peer_url "$(address_before "$1")"
}

# listed_among NAME...: is nobody in the list but these members of before, and is none of them a learner? Else says who.
listed_among() {
  local id name
  local -A known=()
  for name in "$@"; do
    known[$(url_before "${name}")]=yes
  done
  for id in "${MEMBER_IDS[@]}"; do
    if [[ -z ${known[${URL_OF[${id}]}]-} ]]; then
      printf 'etcd lists a member that this bundle does not expect: %s (%s)' "${NAME_OF[${id}]-one that has never started}" "${URL_OF[${id}]}"
      return 1
    elif [[ ${KIND_OF[${id}]} == learner && ${URL_OF[${id}]} != "$(peer_url "${CONF[ADDRESS]}")" ]]; then
      printf '%s is being added, and has no vote yet' "${NAME_OF[${id}]-a member}"
      return 1
    fi
  done
}

# check_leaving: can the others do without this member? They are asked themselves, all that stay.
check_leaving() {
  local member name why id silent='' first='' before=' '
  local -a stay=() still=()
  running || return 0
  for name in ${CONF[REMOVES]}; do
    [[ ${name} != "${CONF[HOST]}" ]] || break
    before+="${name} "
  done
  for member in ${CONF[MEMBERS_BEFORE]}; do
    name=${member%%=*}
    [[ ${before} == *" ${name} "* ]] || still+=("${name}")
    [[ " ${CONF[REMOVES]} " == *" ${name} "* ]] || stay+=("${member}")
  done
  ask_members "${stay[@]}"
  for name in "${!MEMBER_STATE[@]}"; do
    [[ ${MEMBER_STATE[${name}]} == healthy ]] || silent+=" ${name} ($(address_before "${name}")) is ${MEMBER_STATE[${name}]};"
  done
  if [[ -n ${silent} ]]; then
    verdict leaving failed "all members that stay must serve when one leaves, and not all do:${silent%;}" \
      "Restore them first: bundlegen-health on their hosts says what is wrong."
  elif ! list_members "${stay[0]#*=}"; then
    verdict leaving failed "${stay[0]%%=*} does not tell its member list" "bundlegen-health --cluster on its host says what is wrong."
  elif ! why=$(listed_among "${still[@]}"); then
    for name in ${before}; do
      ! id_of "$(url_before "${name}")" id || first=${first:-${name}}
    done
    verdict leaving failed "${why}" "${first:+Run ${first}.run first: it leaves before this one.}"
  elif ! id_of "$(peer_url "${CONF[ADDRESS]}")" id; then
    verdict leaving ok "${CONF[HOST]} is no member any more; what is left of it here is taken away"
  else
    verdict leaving ok "all ${#stay[@]} members that stay serve, and can do without ${CONF[HOST]}"
  fi
}

# leave: in the place of an install, for the host whose member leaves.
leave() {
  local -a folders=()
  mapfile -t folders < <(generations)
  ! interrupted || folders=("${STATE}/transaction" ${folders[@]+"${folders[@]}"})
  if ((${#folders[@]} == 0)) && [[ -z $(etcd_processes) ]]; then
    if [[ ${SETTLED} == yes ]]; then
      write_receipt 0 removed
      tidy_state
      say "Done: this host is as it was before."
    else
      say "Already removed; nothing changed: bundlegen has nothing on this host."
    fi
    return 0
  fi
  phase preflight
  must_pass
  phase place
  say "Removing ${CONF[HOST]} from ${CONF[CLUSTER]} (${CONF[ADDRESS]}) ..."
  snapshot_before
  leave_cluster || die "${EXIT_FAILED}" "${CANNOT_LEAVE}" "Nothing was changed on this host."
  finish_undo uninstall removed "" ${folders[@]+"${folders[@]}"}
}

# check_gone: who is taken out by another host must not be there any more.
check_gone() {
  local name address answers=''
  running || return 0
  for name in ${CONF[REMOVES]}; do
    address=$(address_before "${name}")
    ask_members "${name}=${address}"
    if [[ ${MEMBER_STATE[${name}]} != silent || -n $(shown "${address}" "${CONF[PEER_PORT]}" | serial_of) ]]; then
      answers+=" ${name} (${address})"
    fi
  done
  if [[ -n ${answers} ]]; then
    verdict gone failed "these members answer, so they are not gone:${answers}" \
      "Build again without --by: then each takes itself out. A host that hangs is switched off first."
  else
    verdict gone ok "none of those that are to be taken out answers: ${CONF[REMOVES]}"
  fi
}

# take_gone_out: one after the other, each named by its id, and only while a quorum of what is listed then agrees.
take_gone_out() {
  local name id serve member other
  running || return 0
  for name in ${CONF[REMOVES]}; do
    probe_members
    serve=$(count_members healthy) other=''
    for member in ${CONF[MEMBERS]}; do
      [[ ${MEMBER_STATE[${member%%=*}]} != healthy ]] || other=${other:-${member#*=}}
    done
    if [[ -z ${other} ]] || ! list_members "${other}"; then
      die "${EXIT_FAILED}" "no member can be asked for the member list" "bundlegen-health --cluster says what is wrong."
    fi
    id_of "$(url_before "${name}")" id || continue
    ((serve >= $(voters) / 2 + 1)) || [[ ${KIND_OF[${id}]} == learner ]] \
      || die "${EXIT_FAILED}" "only ${serve} of $(voters) members serve: without a quorum nobody is taken out" "Restore a member first, or the cluster from a snapshot."
    clear_verdicts
    check_gone
    ((FAILED == 0)) || die "${EXIT_FAILED}" "${name} answers now, so it is not taken out" "Build again without --by."
    remove_member "${other}" "${id}" || die "${EXIT_FAILED}" "etcd does not take ${name} out of its list: ${WHY}" "bundlegen-health --cluster says what is wrong."
    say "  ${name} is no member any more"
  done
}
