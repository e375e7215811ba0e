# shellcheck shell=bash
# Preflight checks of the cluster: may this member be away for a moment? Nothing is hoped for: each voting member is
# asked itself, for who watches from outside does not see one that hangs.

RESTARTS=no    # does this run restart an etcd that runs here?
QUORUM=kept    # without this member: kept; small (of two members, or one); none (there is none now); unknown; lost
QUORUM_TEXT='' # the same in words
QUORUM_HINT=''
UNWELL=''            # other voting members that do not serve
declare -A LISTED=() # NAME: voter or learner, as etcd lists its members
LISTED_COUNT=0       # how many voters it lists
declare -A VOTES=()  # NAME: yes if it takes part in elections

# would_restart: will the etcd that runs here be restarted? An interrupted run may have replaced files already.
would_restart() {
  local index path
  running && [[ -n $(etcd_processes) ]] || return 1
  ! interrupted || return 0
  manifest_in_place || return 0
  WANTED=()
  for index in "${!ENTRY_PATH[@]}"; do
    path=${ENTRY_PATH[index]}
    [[ ${path} == /* ]] || continue
    effect_of "${path}"
    [[ ${EFFECT} != @(etcd|pod) ]] || want_entry "${index}"
  done
  ! wanted_in_place
}

check_quorum() {
  RESTARTS=no
  running || return 0
  if ! would_restart; then
    verdict quorum ok "this run restarts no etcd"
    return 0
  fi
  RESTARTS=yes
  ask_quorum
  case ${QUORUM} in
    lost | unknown) verdict quorum failed "${QUORUM_TEXT}" "${QUORUM_HINT}" ;;
    small) verdict quorum warning "${QUORUM_TEXT}" "${QUORUM_HINT}" ;;
    *) verdict quorum ok "${QUORUM_TEXT}" ;;
  esac
}

# check_other_members: after check_quorum. A quorum that would stay is no reason to take a risk.
check_other_members() {
  local name learners=''
  [[ ${RESTARTS} == yes && ${QUORUM} == @(kept|small) ]] || return 0
  for name in "${!LISTED[@]}"; do
    [[ ${LISTED[${name}]} == voter ]] || learners+=" ${name}"
  done
  if [[ -n ${UNWELL} ]]; then
    verdict other-members failed "not healthy:${UNWELL}" "Restore it first: bundlegen-health on its host says what is wrong."
  elif [[ -n ${learners} ]]; then
    verdict other-members failed "being added, and not a voting member yet:${learners}" "Let that end first."
  else
    verdict other-members ok "all other members serve"
  fi
}

# still_kept: once more, right before etcd is restarted, for anything may have happened since the preflight.
still_kept() {
  [[ ${RESTARTS} == yes ]] || return 0
  ask_quorum
  [[ ${QUORUM} != @(lost|unknown) ]] || die "${EXIT_FAILED}" "${QUORUM_TEXT}" "${QUORUM_HINT}"
}

# ask_quorum: sets QUORUM, its words, and UNWELL.
ask_quorum() {
  local others=0 own=0 wanted name serves=0
  local -a members
  read -r -a members <<< "${CONF[MEMBERS_BEFORE]:-${CONF[MEMBERS]}}"
  UNWELL='' QUORUM_HINT=''
  ask_voters "${members[@]}"
  wanted=$((LISTED_COUNT / 2 + 1))
  for name in "${members[@]%%=*}"; do
    if [[ ${LISTED[${name}]-voter} == learner ]]; then
      continue
    elif [[ ${name} == "${CONF[HOST]}" ]]; then
      [[ ${VOTES[${name}]} == no ]] || own=1
    else
      [[ ${VOTES[${name}]} == no ]] || others=$((others + 1))
      [[ ${MEMBER_STATE[${name}]} == healthy ]] || UNWELL+=" ${name} ($(member_address "${name}")) is ${MEMBER_STATE[${name}]};"
    fi
  done
  UNWELL=${UNWELL%;}
  serves_now || serves=$?
  judge_quorum "${others}" "${own}" "${wanted}" "${serves}" "${#members[@]}"
}

# judge_quorum OTHERS OWN WANTED SERVES KNOWN: how many other members vote, does this one, how many must; does this
# one serve (0), which takes a quorum; how many voting members this bundle knows.
judge_quorum() {
  if ((LISTED_COUNT != $5)); then
    QUORUM=unknown
    QUORUM_TEXT="etcd has ${LISTED_COUNT} voting members, and this bundle knows $5"
    QUORUM_HINT="Members were added or removed since it was built: run the newest bundle of this host."
  elif (($1 >= $3)); then
    QUORUM=kept QUORUM_TEXT="$1 of ${LISTED_COUNT} members serve besides this one, which is a quorum"
  elif ((LISTED_COUNT == 1 && $4 == 0)); then
    QUORUM=small QUORUM_TEXT="a cluster of 1 does not serve while etcd restarts here"
  elif (($1 + $2 < $3 && $4 == 0)); then
    QUORUM=unknown
    QUORUM_TEXT="etcd serves here, so there is a quorum, but the members could not be asked themselves:${UNWELL} ${CONF[HOST]} (this host) is ${MEMBER_STATE[${CONF[HOST]}]}"
    QUORUM_HINT="The reason, as seen from here: $(tls_complaint "${CONF[ADDRESS]}")"
  elif (($1 + $2 < $3)); then
    QUORUM=none QUORUM_TEXT="the cluster has no quorum now, so that a restart here takes nothing from it:${UNWELL}"
  elif ((LISTED_COUNT <= 2)); then
    QUORUM=small QUORUM_TEXT="a cluster of ${LISTED_COUNT} does not serve while etcd restarts here"
  else
    QUORUM=lost
    QUORUM_TEXT="without this member the cluster would lose its quorum:${UNWELL}"
    QUORUM_HINT="Restore that member first: bundlegen-health on its host says what is wrong."
  fi
}

# serves_now: does the member that is installed serve? Its metrics port may be another than this bundle's.
serves_now() {
  local wanted=${CONF[METRICS_URL]} answer=0
  CONF[METRICS_URL]=$(installed METRICS_URL) || CONF[METRICS_URL]=${wanted}
  probe_local || answer=$?
  CONF[METRICS_URL]=${wanted}
  return "${answer}"
}

# ask_voters NAME=ADDRESS...: sets MEMBER_STATE, VOTES, LISTED and LISTED_COUNT.
ask_voters() {
  local member name address
  local -A addresses=()
  ask_members "$@"
  VOTES=()
  for member in "$@"; do
    name=${member%%=*} addresses[${member%%=*}]=${member#*=}
    VOTES[${name}]=no
    [[ ${MEMBER_STATE[${name}]} != healthy ]] || VOTES[${name}]=yes
    # an alarm makes every member unwell, and takes no vote away
    [[ ${MEMBER_STATE[${name}]} != unhealthy ]] || ! knows_leader "${member#*=}" || VOTES[${name}]=yes
  done
  LISTED=() LISTED_COUNT=$#
  # this member's list first; any other's is as good
  for name in "${CONF[HOST]}" "${@%%=*}"; do
    address=${addresses[${name}]-}
    [[ -n ${address} && ${MEMBER_STATE[${name}]} != silent ]] || continue
    ! read_members "${address}" || return 0
  done
}

# knows_leader ADDRESS: does this member take part in a quorum?
knows_leader() {
  local leader
  client_ask "$1" POST /v3/maintenance/status '{}' && [[ ${HTTP_STATUS} == 200 ]] || return 1
  leader=$(json_field leader "${HTTP_BODY}") && [[ ${leader} != 0 ]] && is_id "${leader}"
}

# read_members ADDRESS: sets LISTED and LISTED_COUNT by the member list of this member. One that has never started has
# no name, and counts.
read_members() {
  local id
  list_members "$1" '{}' || return 1
  LISTED=()
  LISTED_COUNT=$(voters)
  for id in "${MEMBER_IDS[@]}"; do
    [[ -z ${NAME_OF[${id}]-} ]] || LISTED[${NAME_OF[${id}]}]=${KIND_OF[${id}]}
  done
}
