# shellcheck shell=bash
# Preflight check of a member that comes to a cluster that runs: each member is asked for its own health, for who adds or removes
# does harm where one hangs, and etcd itself does not see that (strict-reconfig-check looks at connections alone).

readonly URL_SHAPE='https://[][0-9A-Za-z.:-]{1,260}'

VOTER=''        # the address of a member that serves and votes
NOT_JOINABLE='' # why no member may be added now
JOIN_HINT=''

# is_newcomer: does this change make the host a member?
is_newcomer() {
  [[ " ${CONF[MEMBERS_BEFORE]} " != *" ${CONF[HOST]}=${CONF[ADDRESS]} "* ]]
}

# born_among: NAME=ADDRESS of those that are members when this one comes, a line each.
born_among() {
  local member
  for member in ${CONF[MEMBERS]}; do
    [[ ${member%%=*} == "${CONF[HOST]}" || ",${CONF[INITIAL_CLUSTER]}" != *",${member%%=*}=$(peer_url "${member#*=}")"* ]] || printf '%s\n' "${member}"
  done
}

# survey: may this host's member be added now? Sets VOTER, and the list is read; fails with NOT_JOINABLE. A member that has this
# host's address is its own, if it is a learner or has never started.
survey() {
  local member name id own='' first='' raised=0
  local -a present
  local -A expected=()
  NOT_JOINABLE='' JOIN_HINT='' VOTER=''
  mapfile -t present < <(born_among)
  ask_members "${present[@]}"
  for member in "${present[@]}"; do
    name=${member%%=*}
    expected[$(peer_url "${member#*=}")]=${name}
    [[ ${MEMBER_STATE[${name}]} == healthy ]] || NOT_JOINABLE+=" ${name} (${member#*=}) is ${MEMBER_STATE[${name}]};"
    [[ -n ${first} || " ${CONF[MEMBERS_BEFORE]} " == *" ${member} "* || ${MEMBER_STATE[${name}]} != silent ]] || first=${name}
  done
  if [[ -n ${NOT_JOINABLE} ]]; then
    NOT_JOINABLE="all members must serve when another one is added, and not all do:${NOT_JOINABLE%;}"
    JOIN_HINT="bundlegen-health on their hosts says what is wrong. One that is lost for good goes first: take its host out of the specification, and build with --by HOST."
    [[ -z ${first} ]] || JOIN_HINT="Run ${first}.run on its host first: it is added before this one."
    return 1
  fi
  for member in "${present[@]}"; do
    name=${member%%=*}
    list_members "${member#*=}" || {
      NOT_JOINABLE="${name} does not tell its member list"
      JOIN_HINT="bundlegen-health --cluster on its host says what is wrong."
      return 1
    }
    first=${first:-${LIST_CLUSTER}}
    [[ ${LIST_CLUSTER} == "${first}" && -n ${first} ]] || {
      NOT_JOINABLE="the members are not of one cluster: ${name} is of another one"
      JOIN_HINT="Add nothing before that is mended: bundlegen-health --cluster on their hosts."
      return 1
    }
  done
  VOTER=${present[0]#*=}
  id_of "$(peer_url "${CONF[ADDRESS]}")" own || [[ ${CONF[OPERATION]} != replace ]] || id_of "$(old_url)" own || true
  for id in "${MEMBER_IDS[@]}"; do
    name=${URL_OF[${id}]}
    [[ ${id} != "${own}" ]] || continue
    if [[ -z ${expected[${name}]-} ]]; then
      NOT_JOINABLE="etcd lists a member that this bundle does not know: ${NAME_OF[${id}]-one that has never started} (${name})"
      JOIN_HINT="Was another change run since this bundle was built? Then build a new one."
      return 1
    elif [[ ${KIND_OF[${id}]} == learner ]]; then
      NOT_JOINABLE="${expected[${name}]} is being added, and has no vote yet"
      JOIN_HINT="Let that end first: its bundle ends with exit code 0 then."
      return 1
    fi
    unset 'expected[${name}]'
  done
  if ((${#expected[@]} > 0)); then
    NOT_JOINABLE="etcd does not list these members, which this bundle expects: ${expected[*]}"
    JOIN_HINT="Was one removed, or is one to be added first? Each bundle is made for the list as it is then."
    return 1
  fi
  ask_alarm "${VOTER}" || raised=$?
  if ((raised != 1)); then
    NOT_JOINABLE="etcd has raised the alarm ${ALARM}"
    ((raised == 0)) || NOT_JOINABLE="${present[0]%%=*} does not say whether etcd has raised an alarm"
    JOIN_HINT="Mend what it is about first: bundlegen-health on a member's host."
    return 1
  fi
}

# check_joining: for a host that becomes a member. With sealed keys nobody can be asked yet; see confirm_newcomer.
check_joining() {
  local own
  running || return 0
  if ! use_bundle_keys; then
    verdict joining ok "the members are asked once the keys are open"
    return 0
  fi
  if ! survey; then
    verdict joining failed "${NOT_JOINABLE}" "${JOIN_HINT}"
  elif ! id_of "$(peer_url "${CONF[ADDRESS]}")" own; then
    verdict joining ok "all ${#MEMBER_IDS[@]} members serve, and ${CONF[HOST]} can be added"
  elif [[ -z ${NAME_OF[${own}]-} ]] || interrupted || has_log; then
    verdict joining ok "${CONF[HOST]} is in the member list, as an earlier run has left it"
  else
    verdict joining failed "etcd knows ${CONF[HOST]} as a member that has started, and here is no data: it is lost, or its disk is not mounted" \
      "$(how_to_mend)"
  fi
  use_host_keys
}
