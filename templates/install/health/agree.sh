# shellcheck shell=bash
# Do the members agree? etcd itself does not ask: two histories of one cluster look healthy to each of its members. So
# every member is asked for what it is and, at one revision, for the hash of all that it holds.

DIVERGED=no           # do members hold different data, or less than they have held?
declare -A REPLY=()   # name: the body of its answer; empty: none
declare -A REPLIED=() # name: the status of its answer

# ask_all PATH JSON: of every member at once; fills REPLY and REPLIED.
ask_all() {
  local name fd text
  local -A fds=()
  REPLY=() REPLIED=()
  while read -r name; do
    exec {fd}< <(client_request "$(member_address "${name}")" POST "$1" "$2")
    fds[${name}]=${fd}
  done < <(member_names)
  for name in "${!fds[@]}"; do
    fd=${fds[${name}]}
    IFS= read -r -d '' -n "${ANSWER_BYTES}" -u "${fd}" text || true
    exec {fd}<&-
    take_reply "${text}" || true
    REPLIED[${name}]=${HTTP_STATUS} REPLY[${name}]=${HTTP_BODY}
  done
}

# number_of NAME FIELD: a number in that member's answer; nothing where it gives none.
number_of() {
  local value
  value=$(json_field "$2" "${REPLY[$1]}") && is_id "${value}" || return 0
  printf '%s' "${value}"
}

# health_past: what this member has reached, and what it had reached before.
health_past() {
  local what=''
  own_status && read_written "${STATE}/member" || return 0
  ! is_higher "${WRITTEN[REVISION]-0}" "${STATUS_REVISION}" || what="revision ${STATUS_REVISION}, and has been at ${WRITTEN[REVISION]}"
  [[ -n ${what} ]] || ! is_higher "${WRITTEN[RAFT_INDEX]-0}" "${STATUS_INDEX}" \
    || what="raft index ${STATUS_INDEX}, and has been at ${WRITTEN[RAFT_INDEX]}"
  if [[ -n ${what} ]]; then
    diverged past "this member is at ${what}: its data is an older copy, or of another history"
  else
    verdict past ok "this member has all that it had when it was last asked (revision ${STATUS_REVISION})"
  fi
}

# diverged NAME WHY
diverged() {
  DIVERGED=yes
  verdict "$1" failed "$2" \
    "Do not restart, remove or replace a member, and restore nothing, before it is known which data is right: take a snapshot of each member first. Then, for each with the wrong data, replace the member: bundlegen replace SPEC HOST"
}

# health_agreement: for --cluster.
health_agreement() {
  [[ ${ALL_MEMBERS} == yes ]] || return 0
  ask_all /v3/maintenance/status '{}'
  agree_cluster
  agree_leader
  agree_members
  [[ ${COMPARE} == no ]] || agree_hash
}

# agree_cluster: are they members of one cluster?
agree_cluster() {
  local name id first='' text='' differ=no
  while read -r name; do
    id=$(number_of "${name}" cluster_id)
    [[ -n ${id} ]] || continue
    first=${first:-${id}}
    [[ ${id} == "${first}" ]] || differ=yes
    text+=" ${name} $(printf '%x' "${id}");"
  done < <(member_names)
  if [[ ${differ} == yes ]]; then
    diverged cluster-id "the members are of different clusters:${text%;}"
  elif [[ -n ${first} ]]; then
    verdict cluster-id ok "those that answer are of one cluster ($(printf '%x' "${first}"))"
  fi
}

# agree_leader: whom does each believe? A moment after an election they may still differ.
agree_leader() {
  local attempt name id first text differ
  for attempt in 1 2 3; do
    first='' text='' differ=no
    while read -r name; do
      [[ ${REPLIED[${name}]} == 200 ]] || continue
      id=$(number_of "${name}" leader)
      first=${first:-${id:-none}}
      [[ ${id:-none} == "${first}" ]] || differ=yes
      text+=" ${name} believes ${id:-none};"
    done < <(member_names)
    [[ ${differ} == yes && ${attempt} -lt 3 ]] || break
    sleep 1
    ask_all /v3/maintenance/status '{}'
  done
  if [[ ${differ} == yes ]]; then
    verdict one-leader failed "the members do not believe in the same leader:${text%;}" "Is the network whole? Ask again: ${CONF[HEALTH_COMMAND]} --cluster"
  elif [[ -n ${first} && ${first} != none ]]; then
    verdict one-leader ok "all that answer believe in the same leader"
  fi
}

# agree_members: who has no vote, and who has never started?
agree_members() {
  local name text='' body entry
  while read -r name; do
    [[ ! ${REPLY[${name}]} =~ \"isLearner\":\ ?true ]] || text+=" ${name} is a learner, without a vote;"
  done < <(member_names)
  if client_post /v3/cluster/member/list '{}' && [[ ${HTTP_STATUS} == 200 ]]; then
    after '"members"' "${HTTP_BODY}" body || body=''
    while after '"ID"' "${body}" body; do
      entry=${body%%'"ID"'*}
      [[ ${entry} == *'"clientURLs"'* ]] || text+=" $(listed_name "${entry}") has never started;"
    done
  fi
  if [[ -n ${text} ]]; then
    verdict voters failed "not all members take part:${text%;}" "Let what adds a member end, or run its bundle again."
  else
    verdict voters ok "every member has started, and votes"
  fi
}

# listed_name ENTRY: what the member list calls a member, or where it is.
listed_name() {
  local text
  text=$(json_field name "$1") && [[ -n ${text} ]] || text=$(json_field peerURLs "$1") || text='one'
  text=${text//[^A-Za-z0-9.:\/-]/}
  printf '%s' "${text:0:80}"
}

# agree_hash: the hash of everything at one revision that all have. It can be compared only where they have discarded
# old revisions to the same point, which they do a moment apart; etcd 3.4 and 3.5.1 have no such question.
agree_hash() {
  local attempt name value lowest text without
  local -A hashes=() compacted=()
  for attempt in 1 2 3; do
    ((attempt == 1)) || { sleep 1 && ask_all /v3/maintenance/status '{}'; }
    lowest=$(lowest_revision)
    [[ -n ${lowest} ]] || return 0
    ask_all /v3/maintenance/hashkv "{\"revision\":\"${lowest}\"}"
    text='' without='' hashes=() compacted=()
    while read -r name; do
      # a hash of zero is left out; the header never is
      if [[ ${REPLIED[${name}]} != 200 || ${REPLY[${name}]} != *'"header"'* ]]; then
        without+=" ${name} ($(why_no_hash "${name}"));"
        continue
      fi
      value=$(number_of "${name}" hash)
      hashes[${value:-0}]+=" ${name}"
      value=$(number_of "${name}" compact_revision)
      compacted[${value:-0}]=yes
    done < <(member_names)
    ((${#hashes[@]} > 1 || ${#compacted[@]} > 1)) || [[ ${without} == *compacted* ]] || break
  done
  for value in "${!hashes[@]}"; do
    text+=" ${value} on${hashes[${value}]};"
  done
  if ((${#hashes[@]} > 1 && ${#compacted[@]} <= 1)); then
    diverged hash "THE MEMBERS HOLD DIFFERENT DATA at revision ${lowest}:${text%;}"
  elif ((${#hashes[@]} > 1)); then
    verdict hash warning "data could not be compared: the members have discarded old revisions to different points" "Ask again in a minute."
  elif [[ -n ${without} ]]; then
    verdict hash warning "data could not be compared with:${without%;}" "Where etcd cannot tell, \`etcdctl endpoint hashkv\` of the same version can."
  else
    verdict hash ok "all members hold the same data (revision ${lowest})"
  fi
}

# lowest_revision: of those that have answered with their status.
lowest_revision() {
  local name value lowest=''
  while read -r name; do
    value=$(number_of "${name}" revision)
    [[ -n ${value} ]] || continue
    [[ -n ${lowest} ]] && is_higher "${value}" "${lowest}" || lowest=${value}
  done < <(member_names)
  printf '%s' "${lowest}"
}

why_no_hash() {
  local text
  case ${REPLIED[$1]} in
    '') printf 'no answer' ;;
    200) printf 'it answers without a hash' ;;
    404) printf 'its etcd does not know how' ;;
    *)
      text=$(json_field message "${REPLY[$1]}") || text="status ${REPLIED[$1]}"
      printf '%s' "${text//[^A-Za-z0-9 :._-]/?}"
      ;;
  esac
}
