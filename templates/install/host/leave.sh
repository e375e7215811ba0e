# shellcheck shell=bash
# A member leaves its cluster: only while the others can agree on it, and can do without it.

CANNOT_LEAVE='' # why it cannot

# leave_cluster: takes this member out of the list, asked for at another one. Fails with CANNOT_LEAVE.
leave_cluster() {
  local id member other='' target serve=0 leader
  CANNOT_LEAVE=''
  probe_members
  for member in ${CONF[MEMBERS]}; do
    [[ ${member%%=*} != "${CONF[HOST]}" ]] || continue
    [[ ${MEMBER_STATE[${member%%=*}]} == healthy ]] || continue
    serve=$((serve + 1))
    other=${other:-${member#*=}}
  done
  if [[ -z ${other} ]] || ! list_members "${other}"; then
    CANNOT_LEAVE="no other member can be asked whether ${CONF[HOST]} is in the member list: see that one serves"
    return 1
  fi
  id_of "$(peer_url "${CONF[ADDRESS]}")" id || return 0
  if [[ ${KIND_OF[${id}]} == voter ]] && ((serve < ($(voters) - 1) / 2 + 1)); then
    CANNOT_LEAVE="without ${CONF[HOST]} the cluster would lose its quorum, for only ${serve} others serve: restore them first"
    return 1
  fi
  if client_post /v3/maintenance/status '{}' && leader=$(json_field leader "${HTTP_BODY}") && [[ ${leader} == "${id}" ]]; then
    if ! id_of "$(peer_url "${other}")" target || ! hand_over "${CONF[ADDRESS]}" "${id}" "${target}"; then
      warn "this member leads, and could not hand that over; writes may wait for a moment"
    fi
  fi
  if ! remove_member "${other}" "${id}"; then
    CANNOT_LEAVE="${CONF[HOST]} could not be taken out of the member list: ${WHY}"
    return 1
  fi
  say "  ${CONF[HOST]} is no member any more"
}
