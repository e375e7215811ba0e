# shellcheck shell=bash
# Is this member new? Where the others know it as one that has started, its data is lost, not to come: under its old
# identity it may never start anew, and etcd would refuse it only while enough others are up.

# check_newcomer: for create, on a host without data of its own. Nothing is known while nobody answers.
check_newcomer() {
  local name entry
  running && ! has_log && ! read_written "${STATE}/member" || return 0
  if ! use_bundle_keys; then
    verdict newcomer ok "the other members are asked once the keys are open"
    return 0
  fi
  ask_all /v3/cluster/member/list '{}'
  use_host_keys
  while read -r name; do
    [[ ${name} != "${CONF[HOST]}" && ${REPLIED[${name}]} == 200 && ${REPLY[${name}]} == *'"members"'* ]] || continue
    if ! entry=$(own_entry "${REPLY[${name}]}"); then
      verdict newcomer failed "${name} is a member of a cluster that runs, and ${CONF[HOST]} is none of it" \
        "This bundle creates a cluster, and that one is there already: it cannot add ${CONF[HOST]} to it."
    elif [[ ${entry} == *'"clientURLs"'* ]]; then
      verdict newcomer failed "${name} knows ${CONF[HOST]} as a member that has started, and here is no data: it is lost, or its disk is not mounted" \
        "Mount the disk with the data, if there is one. Otherwise replace the member: bundlegen replace SPEC HOST"
    else
      verdict newcomer ok "${name} knows ${CONF[HOST]} as a member that has not started yet"
    fi
    return 0
  done < <(member_names)
  verdict newcomer ok "no other member serves yet"
}

# own_entry LIST: what a member list says of this member.
own_entry() {
  local body entry url
  url="\"https://$(bracketed "${CONF[ADDRESS]}"):${CONF[PEER_PORT]}\""
  after '"members"' "$1" body || return 1
  while after '"ID"' "${body}" body; do
    entry=${body%%'"ID"'*}
    [[ ${entry} == *"${url}"* ]] || continue
    printf '%s' "${entry}"
    return 0
  done
  return 1
}

# confirm_newcomer: once more, when sealed keys are open.
confirm_newcomer() {
  local check
  [[ ${CONF[SEALED]} == yes ]] || return 0
  clear_verdicts
  while read -r check; do
    [[ ${check} != @(newcomer|joining|replaceable|adoptable) ]] || "check_${check}"
  done < <("${CONF[OPERATION]}_checks")
  print_trouble
  ((FAILED == 0)) || die "${EXIT_PREFLIGHT}" "${CONF[HOST]} cannot become a member; nothing was changed"
}
