# shellcheck shell=bash
# How is etcd? A level, quickly:
#   down     this member's process does not answer
#   waiting  it runs and waits for enough others to elect a leader; normal on the first hosts of a cluster
#   member   this member serves; others do not answer yet
#   cluster  every member answers

LEVEL=down
REASON=''                  # one line about this member
declare -A MEMBER_STATE=() # name: healthy, unhealthy, or silent

# member_names, in the bundle's order
member_names() {
  local member
  for member in ${CONF[MEMBERS]}; do
    printf '%s\n' "${member%%=*}"
  done
}

member_address() {
  local member
  for member in ${CONF[MEMBERS]}; do
    [[ ${member%%=*} != "$1" ]] || printf '%s' "${member#*=}"
  done
}

member_count() {
  local -a members
  read -r -a members <<< "${CONF[MEMBERS]}"
  printf '%d' "${#members[@]}"
}

# count_members STATE...: how many are in one of these states.
count_members() {
  local name count=0
  for name in "${!MEMBER_STATE[@]}"; do
    [[ " $* " != *" ${MEMBER_STATE[${name}]} "* ]] || count=$((count + 1))
  done
  printf '%d' "${count}"
}

# probe_local: 0 serves, 1 waits for a leader, 2 has an alarm or another fault, 3 does not answer.
probe_local() {
  local leader
  if ! metrics_get /health; then
    REASON="etcd does not answer on ${CONF[METRICS_URL]}${STRANGER:+, where ${STRANGER} listens instead}"
    return 3
  fi
  if [[ ${HTTP_STATUS} == 200 && $(json_field health "${HTTP_BODY}") == true ]]; then
    REASON='etcd serves'
    return 0
  fi
  REASON=$(json_field reason "${HTTP_BODY}") || REASON="status ${HTTP_STATUS}"
  # etcd 3.4 gives no reason; the metric is there in all versions
  metrics_get /metrics && leader=$(metric etcd_server_has_leader) || leader=''
  if [[ ${leader} == 0 || ${REASON} == *'NO LEADER'* ]]; then
    REASON='etcd runs and waits for other members to elect a leader'
    return 1
  fi
  REASON="etcd reports: ${REASON}"
  return 2
}

# probe_members: asks every expected member. Never `--cluster`, which leaves out members that have never started.
probe_members() {
  local -a members
  read -r -a members <<< "${CONF[MEMBERS]}"
  ask_members "${members[@]}"
}

# ask_members NAME=ADDRESS...: each for its own health over TLS, all at once; sets MEMBER_STATE.
ask_members() {
  local member name fd reply
  local -A fds=()
  MEMBER_STATE=()
  for member in "$@"; do
    exec {fd}< <(client_request "${member#*=}" GET /health)
    fds[${member%%=*}]=${fd}
  done
  for name in "${!fds[@]}"; do
    fd=${fds[${name}]}
    IFS= read -r -d '' -n "${ANSWER_BYTES}" -u "${fd}" reply || true
    exec {fd}<&-
    if ! take_reply "${reply}"; then
      MEMBER_STATE[${name}]=silent
    elif [[ ${HTTP_STATUS} == 200 && $(json_field health "${HTTP_BODY}") == true ]]; then
      MEMBER_STATE[${name}]=healthy
    else
      MEMBER_STATE[${name}]=unhealthy
    fi
  done
}

# probe: LEVEL, REASON and MEMBER_STATE.
probe() {
  local local_state=0
  probe_local || local_state=$?
  probe_members
  case ${local_state} in
    0)
      LEVEL=member
      [[ ${MEMBER_STATE[${CONF[HOST]}]} == healthy ]] || {
        LEVEL=down
        REASON="etcd runs, but not over TLS on $(bracketed "${CONF[ADDRESS]}"):${CONF[CLIENT_PORT]}: $(tls_complaint "${CONF[ADDRESS]}")"
      }
      (($(count_members healthy) < $(member_count))) || LEVEL=cluster
      ;;
    1) LEVEL=waiting ;;
    *) LEVEL=down ;;
  esac
}

# peers_up: how many other members' peer ports accept connections.
peers_up() {
  local member count=0
  for member in ${CONF[MEMBERS]}; do
    [[ ${member%%=*} == "${CONF[HOST]}" ]] || ! reachable "${member#*=}" "${CONF[PEER_PORT]}" || count=$((count + 1))
  done
  printf '%d' "${count}"
}

# able_peers: how many other members could take part in a quorum.
able_peers() {
  "${CONF[OPERATION]}_peers"
}

PROGRESS_SHOWN=0 # half minutes

start_progress() {
  PROGRESS_SHOWN=0
}

# progress SECONDS TEXT: one line that overwrites itself on a terminal; elsewhere a line each half minute.
progress() {
  local elapsed=$1
  if [[ -t 1 && ${JSON} == no ]]; then
    printable "$2"
    printf '\r  %3d s: %-70.70s' "${elapsed}" "${PRINTABLE}" || true
  elif ((elapsed / 30 > PROGRESS_SHOWN)); then
    PROGRESS_SHOWN=$((elapsed / 30))
    say "  ${elapsed} s: $2"
  fi
}

end_progress() {
  [[ ! -t 1 || ${JSON} == yes ]] || printf '\r%-79s\r' '' || true
}

# await_install MINIMUM: waits until this member is as well as it can be: `waiting` will do if too few
# others run for a leader, unless MINIMUM (the level before this run) was better. Fails when time is over.
await_install() {
  local start=${SECONDS} elapsed quorum count
  count=$(member_count)
  quorum=$((count / 2 + 1))
  start_progress
  while true; do
    probe_right
    elapsed=$((SECONDS - start))
    case ${LEVEL} in
      cluster) break ;;
      member)
        # others may need some seconds to notice; those that do not run yet are not waited for
        (($(able_peers) + 1 > $(count_members healthy) && elapsed < 30)) || break
        ;;
      waiting)
        [[ $1 == waiting ]] && (($(able_peers) + 1 < quorum)) && break
        REASON+=", and enough of them run"
        ;;
      *)
        ! is_hopeless || break
        ;;
    esac
    ((elapsed < SECONDS_TO_WAIT)) || break
    progress "${elapsed}" "${REASON}"
    sleep 1
  done
  end_progress
  case ${LEVEL} in
    cluster | member) return 0 ;;
    waiting) [[ $1 == waiting ]] && (($(able_peers) + 1 < quorum)) ;;
    *) return 1 ;;
  esac
}
