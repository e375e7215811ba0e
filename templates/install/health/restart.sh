# shellcheck shell=bash
# What a change, or undoing it, does to the etcd that runs: another one is to come, and must serve.

readonly SETTLE_SECONDS=5
readonly RETURN_SECONDS=180 # for the earlier etcd after an undo: a new Pod again, perhaps after a crash loop

# expect_restart: everything is in place; what was replaced decides whether another etcd is to come.
expect_restart() {
  local pod=${CONF[STATIC_POD_MANIFEST]} kept
  running || return 0
  if kept=$(replaced "${pod}"); then
    await_another "${kept}" "${pod}"
  elif replaced "${CONF[PKI_DIR]}/etcd/ca.crt" > /dev/null; then
    await_another "${pod}" "${pod}"
    restart_etcd
  fi
}

# pod_changed_at: when an interrupted run of this bundle put the manifest in place that is there now.
pod_changed_at() {
  [[ ! -e ${CONF[STATIC_POD_MANIFEST]} ]] || ! replaced "${CONF[STATIC_POD_MANIFEST]}" > /dev/null || stat -c %Y -- "${CONF[STATIC_POD_MANIFEST]}"
}

# confirm_health MINIMUM: started is not enough; see await_install.
confirm_health() {
  running || return 0
  say "Waiting for etcd (at most ${SECONDS_TO_WAIT} s) ..."
  { await_install "$1" && stays; } || not_healthy
  [[ ${LEVEL} == member || ${LEVEL} == cluster ]] || return 0
  # who comes to a cluster that runs has compared the list before
  [[ ${CONF[OPERATION]} != add ]] && list_members "${CONF[ADDRESS]}" '{}' || return 0
  ((${#MEMBER_IDS[@]} == $(member_count))) \
    || die "${EXIT_FAILED}" "etcd lists ${#MEMBER_IDS[@]} members instead of $(member_count): it belongs to another cluster" \
      "Look for old data on the other hosts, or a wrong network."
}

not_healthy() {
  local -a words
  mapfile -t words < <(kubelet_log 8)
  die "${EXIT_FAILED}" "etcd did not become healthy: ${REASON}" "kubelet's last words:" ${words[@]+"${words[@]}"}
}

# stays: does the etcd that was judged serve still, a moment later? What kubelet is about to stop does not.
stays() {
  local judged=${RIGHT}
  lived || return 0
  sleep "${SETTLE_SECONDS}"
  probe_right
  [[ ${RIGHT} == "${judged}" && ${LEVEL} != down ]] && return 0
  [[ ${RIGHT} == "${judged}" ]] || REASON='it served for a moment, and then ended'
  return 1
}

CA_RETURNS=no # must etcd be restarted for its CA once that is back?
NOT_BACK=''   # why etcd does not serve again after an undo

# expect_return FOLDER...: before these journals are undone, newest first, as read_earlier has read them.
expect_return() {
  local pod=${CONF[STATIC_POD_MANIFEST]} ca=${CONF[PKI_DIR]}/etcd/ca.crt kept kept_ca
  AWAITED=no CA_RETURNS=no NOT_BACK=''
  kept=${EARLIER[${pod}]-} kept_ca=${EARLIER[${ca}]-absent}
  [[ -z ${ROOT} && ${kept} != absent ]] || return 0
  note_etcd
  read -r _ _ ORIGINAL _ <<< "$(journal_line "${!#}" begin || true)"
  number ORIGINAL "${ORIGINAL}" || true
  if [[ -n ${kept} && $(sha256 "${kept}") != "$(sha256 "${pod}")" ]]; then
    await_another "${pod}" "${kept}"
  elif [[ ${kept_ca} != absent && $(sha256 "${kept_ca}") != "$(sha256 "${ca}")" ]]; then
    CA_RETURNS=yes
    await_another "${pod}" "${pod}"
  fi
}

# await_return: after that; says whether etcd serves again.
await_return() {
  local metrics=${CONF[METRICS_URL]} SECONDS_TO_WAIT=$((SECONDS_TO_WAIT > RETURN_SECONDS ? SECONDS_TO_WAIT : RETURN_SECONDS))
  [[ ${AWAITED} == yes ]] || return 0
  CONF[METRICS_URL]=$(installed METRICS_URL) || CONF[METRICS_URL]=${metrics}
  # on a slow machine the failed one may have ended more than once while files were put back
  forget_newborn
  say "Waiting for the earlier etcd to serve again (at most ${SECONDS_TO_WAIT} s) ..."
  if await_install waiting && stays; then
    say "etcd runs again as before. $(level_text)"
  else
    NOT_BACK=${REASON}
    complain "etcd does not serve again: ${REASON}" "Ask again in a while: ${CONF[HEALTH_COMMAND]}"
  fi
}
