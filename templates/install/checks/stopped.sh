# shellcheck shell=bash
# Which cluster a member is of: one of before, or one that began with the snapshot. They differ by their id.

# is_restored: is the data here that of the cluster which this bundle makes?
is_restored() {
  local wanted
  [[ -s ${CONF[DATA_DIR]}/member/snap/db ]] && has_log && whose_log && wanted=$(restored_cluster) && [[ $(printf '%x' "${LOG_CLUSTER}") == "${wanted}" ]]
}

# restored_cluster: the id of that cluster, in hexadecimal digits. It follows from the members' URLs and the token (etcd
# server/etcdserver/api/membership, computeMemberID and genID).
restored_cluster() {
  local member sum id bytes=''
  while read -r id; do
    for (( ; ${#id} > 0; )); do
      bytes+="\\x${id:0:2}"
      id=${id:2}
    done
  done < <(
    for member in ${CONF[INITIAL_CLUSTER]//,/ }; do
      sum=$(printf '%s%s' "${member#*=}" "${CONF[INITIAL_CLUSTER_TOKEN]}" | sha1sum)
      printf '%s\n' "${sum:0:16}"
    done | LC_ALL=C sort
  )
  sum=$(printf '%b' "${bytes}" | sha1sum)
  [[ ${sum} =~ ^[0-9a-f]{40} ]] || return 1
  printf '%x' "0x${sum:0:16}"
}

# cluster_at ADDRESS: the id of the cluster whose member answers other members there, in hexadecimal digits; `unknown` for one that
# does not tell; nothing where nobody listens. It tells without a leader too.
cluster_at() {
  local reply='' pattern='X-Etcd-Cluster-I[Dd]: ?([0-9a-f]{1,16})'
  reachable "$1" "${CONF[PEER_PORT]}" || return 0
  IFS= read -r -d '' -n "${ANSWER_BYTES}" reply < <(printf 'GET /members HTTP/1.0\r\n\r\n' | bundle_peer_tls "$1") || true
  if [[ ${reply} =~ ${pattern} ]]; then printf '%s' "${BASH_REMATCH[1]}"; else printf 'unknown'; fi
}

# bundle_peer_tls ADDRESS: as another member connects, with the bundle's pair, since the host's may not be there.
bundle_peer_tls() {
  local name file
  local -a files=()
  for name in ca.crt peer.crt peer.key; do
    payload_file "${CONF[PKI_DIR]}/etcd/${name}" file
    [[ ! -r ${file} ]] || files+=("${file}")
  done
  ((${#files[@]} == 3)) || files=("${CONF[PKI_DIR]}"/etcd/{ca.crt,peer.crt,peer.key})
  with_chain "${files[1]}"
  timeout "${HTTP_SECONDS}" openssl s_client -quiet -connect "$(bracketed "$1"):${CONF[PEER_PORT]}" -CAfile "${files[0]}" \
    -cert "${files[1]}" -key "${files[2]}" ${CHAIN[@]+"${CHAIN[@]}"} -verify_return_error 2> /dev/null || true
}

# still_there: who of the members of before answers, in words; fails if nobody does.
still_there() {
  local member name address found wanted answers=''
  local -A probed=()
  wanted=$(restored_cluster)
  for member in ${CONF[MEMBERS_BEFORE]} ${CONF[MEMBERS]}; do
    name=${member%%=*} address=${member#*=}
    [[ -z ${probed[${address}]-} ]] || continue
    probed[${address}]=yes
    found=$(cluster_at "${address}")
    [[ -z ${found} || ${found} == "${wanted}" ]] || answers+=" ${name} (${address})"
  done
  [[ -n ${answers} ]] && printf '%s' "${answers}"
}

# check_stopped: while a member of before runs, clients write to what is about to be replaced.
check_stopped() {
  local there
  running || return 0
  if ! use_bundle_keys; then
    verdict stopped ok "members of before are looked for once the keys are open"
    return 0
  fi
  use_host_keys
  if there=$(still_there); then
    verdict stopped failed "these members of before still run:${there}" "Stop them first, each with its bundle: sh HOST.run -- stop"
  elif [[ -n $(etcd_processes) ]] && ! is_restored; then
    verdict stopped failed "etcd runs here" "Stop it first: sh ${CONF[HOST]}.run -- stop"
  else
    verdict stopped ok "no member of before answers"
  fi
}

# must_be_stopped: once more, with the keys that may have been sealed.
must_be_stopped() {
  local there
  ! running || ! there=$(still_there) || die "${EXIT_FAILED}" "these members of before still run:${there}" "Stop them first: sh HOST.run -- stop"
}
