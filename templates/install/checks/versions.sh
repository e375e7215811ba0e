# shellcheck shell=bash
# Preflight checks of an upgrade: from what runs, may the new etcd follow? Each member is asked for its version; images
# are known by their names alone, and a name may say anything.

readonly VERSION_SHAPE='3\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,3})'
# By minor of etcd 3, the least patch release of the one before (bundlegen/operations/upgrade_path.py has the source).
declare -rA LEAST_BEFORE=([6]=26 [7]=11)

declare -A RUNS=() # NAME: the version of etcd that this member runs
UNTOLD=''          # members that do not tell
CLUSTER_RUNS=''    # the version that the cluster as a whole has reached

# ask_version ADDRESS VARIABLE: sets it to the etcd of this member, and CLUSTER_RUNS; fails if it does not tell.
ask_version() {
  local server cluster
  client_ask "$1" GET /version && [[ ${HTTP_STATUS} == 200 ]] || return 1
  server=$(json_field etcdserver "${HTTP_BODY}") && cluster=$(json_field etcdcluster "${HTTP_BODY}") || return 1
  [[ ${server} =~ ^${VERSION_SHAPE}$ && ${cluster} =~ ^${VERSION_SHAPE}$ ]] || return 1
  CLUSTER_RUNS=${cluster}
  printf -v "$2" '%s' "${server}"
}

# etcd_minor VERSION: of a version that was matched.
etcd_minor() {
  local rest=${1#3.}
  printf '%s' "${rest%%.*}"
}

# ask_versions: sets RUNS, CLUSTER_RUNS and UNTOLD; fails if a member does not tell. This one need not where an
# interrupted run has stopped it.
ask_versions() {
  local name version
  RUNS=() CLUSTER_RUNS='' UNTOLD=''
  while read -r name; do
    if ask_version "$(member_address "${name}")" version; then
      RUNS[${name}]=${version}
    elif [[ ${name} != "${CONF[HOST]}" ]] || ! interrupted; then
      UNTOLD+=" ${name}"
    fi
  done < <(member_names)
  [[ -z ${UNTOLD} && -n ${CLUSTER_RUNS} ]]
}

# upgrade_begun: has an interrupted run of this bundle seen that the new etcd may follow, and begun to put it in place?
upgrade_begun() {
  interrupted && journal_has "${STATE}/transaction" version
}

# check_versions: after check_quorum.
check_versions() {
  local name is patch cluster wanted tag=${CONF[ETCD_IMAGE]##*:} wrong=''
  [[ ${RESTARTS} == yes ]] || return 0
  if upgrade_begun; then
    verdict versions ok "an interrupted run has looked already; this one goes on from there"
    return 0
  elif [[ ${QUORUM} == none ]]; then
    verdict versions failed "the cluster does not serve, and only one that serves is upgraded" "Mend that first: ${CONF[HEALTH_COMMAND]} --cluster"
    return 0
  fi
  if ! ask_versions; then
    verdict versions failed "these members do not say which etcd they run:${UNTOLD:- all}" "Mend that first: bundlegen-health on their hosts."
    return 0
  fi
  cluster=$(etcd_minor "${CLUSTER_RUNS}")
  wanted=${cluster}
  [[ ! ${tag#v} =~ ^(${VERSION_SHAPE}) ]] || wanted=$(etcd_minor "${BASH_REMATCH[1]}")
  for name in "${!RUNS[@]}"; do
    is=$(etcd_minor "${RUNS[${name}]}")
    patch=${RUNS[${name}]##*.}
    if ((wanted > cluster && is == cluster && patch < ${LEAST_BEFORE[${wanted}]:-0})); then
      wrong+=" ${name} runs ${RUNS[${name}]};"
    fi
  done
  if ((wanted < cluster)); then
    verdict versions failed "the cluster is at etcd ${CLUSTER_RUNS}, and ${tag} is older: it would not start" "An upgrade only goes up; build from the specification that names what runs."
  elif ((wanted > cluster + 1)); then
    verdict versions failed "the cluster is at etcd ${CLUSTER_RUNS}, and ${tag} skips a minor version: it would not start" "Upgrade to 3.$((cluster + 1)) first."
  elif [[ -n ${wrong} ]]; then
    verdict versions failed "etcd 3.${wanted} may follow only 3.${cluster}.${LEAST_BEFORE[${wanted}]} or later:${wrong%;}" \
      "Upgrade all members to 3.${cluster}.${LEAST_BEFORE[${wanted}]} or later first."
  else
    verdict versions ok "the cluster is at etcd ${CLUSTER_RUNS}, and ${tag} may follow"
  fi
}

# check_alarms: with one, etcd takes no writes, or its members differ; neither is better for an upgrade.
check_alarms() {
  local raised=0
  [[ ${RESTARTS} == yes && ${QUORUM} != none ]] && ! upgrade_begun || return 0
  ask_alarm "${CONF[ADDRESS]}" || raised=$?
  if ((raised == 0)); then
    verdict alarms failed "etcd has raised the alarm ${ALARM}" "Mend what it is about first: ${CONF[HEALTH_COMMAND]}"
  elif ((raised == 2)); then
    verdict alarms failed "this member does not say whether etcd has raised an alarm" "Mend that first: ${CONF[HEALTH_COMMAND]}"
  elif downgrade_enabled; then
    verdict alarms failed "a downgrade of the cluster is under way" "Let it end, or cancel it: etcdctl downgrade cancel"
  else
    verdict alarms ok "no alarm"
  fi
}

downgrade_enabled() {
  client_post /v3/maintenance/status '{}' && [[ ${HTTP_STATUS} == 200 && ${HTTP_BODY} =~ \"downgradeInfo\":\ ?\{\"enabled\":\ ?true ]]
}

# check_leader: after check_versions. The leader last: then it changes once.
check_leader() {
  local name left=''
  [[ ${RESTARTS} == yes && -n ${RUNS[${CONF[HOST]}]-} ]] && leads || return 0
  for name in "${!RUNS[@]}"; do
    [[ ${name} == "${CONF[HOST]}" || ${RUNS[${name}]} != "${RUNS[${CONF[HOST]}]}" ]] || left+=" ${name}"
  done
  if [[ -n ${left} ]]; then
    verdict leader warning "this member leads, and these have not been upgraded yet:${left}" \
      "Upgrade them first, and this one last: then the leader changes only once."
  else
    verdict leader ok "this member leads, and is the last one"
  fi
}

# leads: is this member the leader?
leads() {
  local own leader
  client_post /v3/maintenance/status '{}' && [[ ${HTTP_STATUS} == 200 ]] || return 1
  own=$(json_field member_id "${HTTP_BODY}") && leader=$(json_field leader "${HTTP_BODY}") || return 1
  is_id "${own}" && [[ ${own} != 0 && ${own} == "${leader}" ]]
}
