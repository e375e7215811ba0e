# shellcheck shell=bash
# The member list as etcd has it, and the requests that change it. What becomes of a request is read from its message, for
# etcd's gateways give other numbers for the same (etcd server/etcdserver/errors.go); after a time-out nobody knows, and the list
# is read again before anything is repeated.

MEMBER_IDS=()                              # in the order of the list
declare -A NAME_OF=() URL_OF=() KIND_OF=() # by ID; no name: it has never started; voter or learner
LIST_CLUSTER=''                            # the id of the cluster that the list is of
readonly CHANGE_SECONDS=10                 # etcd gives up itself after 7

# take_members TEXT: sets the above; fails for what is no list.
take_members() {
  local rest one id pattern='^ ?"?([0-9]{1,20})"?[,}]' name='"name": ?"([A-Za-z0-9._-]{1,253})"' url="\"peerURLs\": ?\\[ ?\"(${URL_SHAPE})\""
  MEMBER_IDS=() NAME_OF=() URL_OF=() KIND_OF=() LIST_CLUSTER=''
  LIST_CLUSTER=$(json_field cluster_id "$1") && is_id "${LIST_CLUSTER}" || LIST_CLUSTER=''
  after '"members"' "$1" rest || return 1
  while after '"ID":' "${rest}" rest; do
    one=${rest%%'"ID":'*}
    [[ ${one} =~ ${pattern} ]] && is_id "${BASH_REMATCH[1]}" || return 1
    id=${BASH_REMATCH[1]}
    MEMBER_IDS+=("${id}")
    KIND_OF[${id}]=voter URL_OF[${id}]=nowhere
    [[ ! ${one} =~ \"isLearner\":\ ?true ]] || KIND_OF[${id}]=learner
    [[ ! ${one} =~ ${name} ]] || NAME_OF[${id}]=${BASH_REMATCH[1]}
    [[ ! ${one} =~ ${url} ]] || URL_OF[${id}]=${BASH_REMATCH[1]}
  done
  ((${#MEMBER_IDS[@]} > 0))
}

# list_members ADDRESS [JSON]: of this member; without JSON, as the quorum has it.
list_members() {
  local question=${2-'{"linearizable":true}'}
  client_ask "$1" POST /v3/cluster/member/list "${question}" && [[ ${HTTP_STATUS} == 200 ]] && take_members "${HTTP_BODY}"
}

# id_of URL VARIABLE: sets it to the id of the member with this peer URL; fails without one.
id_of() {
  local candidate
  for candidate in ${MEMBER_IDS[@]+"${MEMBER_IDS[@]}"}; do
    [[ ${URL_OF[${candidate}]-} == "$1" ]] || continue
    printf -v "$2" '%s' "${candidate}"
    return 0
  done
  return 1
}

# voters: how many the list has.
voters() {
  local id count=0
  for id in "${MEMBER_IDS[@]}"; do
    [[ ${KIND_OF[${id}]} != voter ]] || count=$((count + 1))
  done
  printf '%d' "${count}"
}

# peer_url ADDRESS: as etcd lists it.
peer_url() {
  printf 'https://%s:%s' "$(bracketed "$1")" "${CONF[PEER_PORT]}"
}

WHY='' # in etcd's words

# change_members ADDRESS VERB JSON: asks this member for it. 0 done; 1 refused; 2 nobody knows.
change_members() {
  local ASK_SECONDS=${CHANGE_SECONDS} text
  if ! client_ask "$1" POST "/v3/cluster/member/$2" "$3"; then
    WHY='no answer'
    return 2
  fi
  [[ ${HTTP_STATUS} != 200 || ${HTTP_BODY} != *'"members"'* ]] || return 0
  text=$(json_field message "${HTTP_BODY}") || text="status ${HTTP_STATUS}"
  WHY=${text//[^A-Za-z0-9 :._-]/?}
  case ${WHY} in
    *'timed out'* | *'deadline exceeded'* | *'malformed header'* | status*) return 2 ;;
    *) return 1 ;;
  esac
}

# hand_over ADDRESS OWN TARGET: the member OWN at this address leads; another one is to. etcd does it at once.
hand_over() {
  local start=${SECONDS} leader
  local ASK_SECONDS=${CHANGE_SECONDS}
  client_ask "$1" POST /v3/maintenance/transfer-leadership "{\"targetID\":\"$3\"}" || true
  while ((SECONDS - start < CHANGE_SECONDS)); do
    if client_ask "$1" POST /v3/maintenance/status '{}' && leader=$(json_field leader "${HTTP_BODY}") && is_id "${leader}" \
      && [[ ${leader} != 0 && ${leader} != "$2" ]]; then
      return 0
    fi
    sleep 1
  done
  return 1
}

# remove_member ADDRESS ID: takes a member out of the list, asked for at another one, and proves that it is out. Whether it may
# be is for the caller to know. Fails with WHY.
remove_member() {
  local start=${SECONDS} code
  while true; do
    code=0
    change_members "$1" remove "{\"ID\":\"$2\"}" || code=$?
    if list_members "$1" && [[ " ${MEMBER_IDS[*]} " != *" $2 "* ]]; then
      return 0
    fi
    # the list may have been refused only now
    ((code != 1)) || [[ ${WHY} == *'unhealthy cluster'* ]] || return 1
    ((SECONDS - start < 30)) || return 1
    sleep 1
  done
}
