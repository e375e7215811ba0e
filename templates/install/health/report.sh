# shellcheck shell=bash
# The health report: one verdict per level, from files on this host to every member of the cluster.

readonly EXPIRY_WARNING_DAYS=30

# health_checks: fills the verdicts; LEVEL and REASON as probe left them.
health_checks() {
  METRIC=()
  health_files
  health_expiry
  health_backup
  health_kubelet
  health_process
  health_data
  probe
  health_member
  health_members
  DIVERGED=no
  if [[ ${LEVEL} == @(member|cluster) ]]; then
    health_depth
    health_past
    health_agreement
  fi
}

health_files() {
  local index path mode missing='' changed='' others=''
  look_at "${ENTRY_PATH[@]}"
  for index in "${!ENTRY_PATH[@]}"; do
    path=${ENTRY_PATH[index]}
    [[ ${path} == /* ]] || continue
    if [[ ! -f ${path} ]]; then
      missing+=" ${path}"
    elif ! is_wanted "${path}" "${ENTRY_MODE[index]}" "${ENTRY_OWNER[index]}" "${ENTRY_SHA[index]}"; then
      changed+=" ${path}"
      looked_up "${path}" mode mode
      [[ ${path} != *.key || ${mode} == ??00 ]] || others+=" ${path}"
    fi
  done
  if [[ -n ${missing} ]]; then
    verdict files failed "missing:${missing}" "Run the bundle again: it puts them back."
  elif [[ -n ${others} ]]; then
    verdict files failed "private keys that others can read:${others}" "Run the bundle again: it sets the modes."
  elif [[ -n ${changed} ]]; then
    verdict files warning "changed since the install:${changed}" "If this was not on purpose, run the bundle again."
  else
    verdict files ok "all files of the bundle are in place"
  fi
}

health_expiry() {
  local path line first='' first_path='' days moment index
  local -a paths=() ends=()
  for path in "${ENTRY_PATH[@]}"; do
    [[ ${path} == *.crt && -f ${path} ]] || continue
    if ! line=$(openssl x509 -noout -enddate -in "${path}" 2> /dev/null) || ! openssl_time "${line#notAfter=}" moment; then
      verdict expiry failed "${path} is not a certificate" "Run the bundle again: it puts the right one back."
      return 0
    fi
    paths+=("${path}") ends+=("${moment}")
  done
  for index in "${!paths[@]}"; do
    [[ -n ${first} ]] && ((ends[index] >= first)) || first=${ends[index]} first_path=${paths[index]}
  done
  if [[ -z ${first} ]]; then
    verdict expiry failed "no certificate is in place" "Run the bundle again."
    return 0
  fi
  METRIC[certificate_not_after_seconds]=${first}
  now moment
  days=$(((first - moment) / 86400))
  if ((first <= moment)); then
    verdict expiry failed "${first_path} expired at $(iso_time "${first}")" \
      "Renew them: bundlegen renew SPEC, where bundles are made, and run these. If this host's clock is wrong, set it."
  elif ((days < EXPIRY_WARNING_DAYS)); then
    verdict expiry warning "${first_path} expires in ${days} days, at $(iso_time "${first}")" \
      "Renew them before that: bundlegen renew SPEC, where bundles are made. Nothing is restarted by it."
  else
    verdict expiry ok "the first certificate to expire does so in ${days} days, at $(iso_time "${first}")"
  fi
}

health_kubelet() {
  local state
  state=$(kubelet_active)
  if [[ ${state} != active ]]; then
    verdict kubelet failed "kubelet is ${state}" "See why: journalctl -u kubelet -n 50"
  elif ! start_is_ours; then
    verdict kubelet failed "kubelet runs with another configuration than ${CONF[KUBELET_CONFIG]}" \
      "Another drop-in overrides ours: see \`systemctl cat kubelet\`."
  elif ! starts_at_boot; then
    verdict kubelet warning "kubelet runs, and would not start when this host boots: it is $(kubelet_enabled)" "$(how_to_enable)"
  else
    verdict kubelet ok "kubelet runs with ${CONF[KUBELET_CONFIG]}"
  fi
}

health_process() {
  local pids
  pids=$(etcd_processes)
  if [[ -n ${pids} ]]; then
    verdict container ok "etcd runs (process ${pids//$'\n'/, })"
  else
    verdict container failed "no etcd runs with --name=${CONF[HOST]} --data-dir=${CONF[DATA_DIR]}" \
      "kubelet starts it from ${CONF[STATIC_POD_MANIFEST]}; see journalctl -u kubelet and the logs in /var/log/pods."
  fi
}

health_member() {
  case ${LEVEL} in
    member | cluster) verdict member ok "this member serves at https://$(bracketed "${CONF[ADDRESS]}"):${CONF[CLIENT_PORT]}" ;;
    waiting) verdict member warning "${REASON}" "$(next_step)" ;;
    *) verdict member failed "${REASON}" "See the log in /var/log/pods/kube-system_etcd-*/etcd/." ;;
  esac
}

health_members() {
  local name text='' answered total
  answered=$(count_members healthy)
  total=$(member_count)
  while read -r name; do
    [[ ${MEMBER_STATE[${name}]} == healthy ]] || text+=" ${name} ($(member_address "${name}")) is ${MEMBER_STATE[${name}]};"
  done < <(member_names)
  text=${text%;}
  if ((answered == total)); then
    verdict members ok "all ${total} members are healthy"
  elif [[ ${ALL_MEMBERS} == yes ]]; then
    verdict members failed "${answered} of ${total} members are healthy:${text}" "$(next_step)"
  else
    verdict members warning "${answered} of ${total} members are healthy:${text}" "$(next_step)"
  fi
}

# next_step: what to do while not all members answer.
next_step() {
  local name running=''
  while read -r name; do
    if [[ ${MEMBER_STATE[${name}]-silent} == silent && ${name} != "${CONF[HOST]}" ]]; then
      # an etcd that runs there and does not answer is no case for the first install
      if reachable "$(member_address "${name}")" "${CONF[PEER_PORT]}"; then
        if shows_expired "$(member_address "${name}")"; then
          printf 'The certificates of %s (%s) have expired: run its newest bundle there next (made by: bundlegen renew SPEC).' \
            "${name}" "$(member_address "${name}")"
          return 0
        fi
        running+=" ${name}"
        continue
      fi
      printf 'If it is not installed yet, run %s.run on %s (%s) next.' "${name}" "${name}" "$(member_address "${name}")"
      return 0
    fi
  done < <(member_names)
  if [[ -n ${running} ]]; then
    printf 'etcd runs on%s and does not answer: ask %s there (an expired certificate? the clock?).' "${running}" "${CONF[HEALTH_COMMAND]}"
    return 0
  fi
  printf 'Wait a little, then ask again: %s --cluster' "${CONF[HEALTH_COMMAND]}"
}

# health_list: is etcd's list that of this bundle? A change that other hosts have run already is no fault of this one.
health_list() {
  local member name url id own next extra='' unborn='' missing='' coming=''
  local -A known=()
  if ! list_members "${CONF[ADDRESS]}" '{}'; then
    verdict member-list warning "etcd's member list could not be read over HTTP" "etcdctl member list shows it."
    return 0
  fi
  for member in ${CONF[MEMBERS]}; do
    name=${member%%=*}
    url=$(peer_url "${member#*=}")
    known[${url}]=yes
    if id_of "${url}" id; then
      continue
    elif [[ -n ${CONF[MEMBERS_BEFORE]} && " ${CONF[MEMBERS_BEFORE]}" != *" ${name}="* ]]; then
      coming+=" ${name}"
    else
      missing+=" ${name}"
    fi
  done
  for id in "${MEMBER_IDS[@]}"; do
    [[ -z ${known[${URL_OF[${id}]}]-} ]] || continue
    if [[ -n ${NAME_OF[${id}]-} ]]; then
      extra+=" ${NAME_OF[${id}]} (${URL_OF[${id}]})"
    else
      unborn+=" ${URL_OF[${id}]}"
    fi
  done
  if ! id_of "$(peer_url "${CONF[ADDRESS]}")" own; then
    verdict member-list failed "etcd does not list this member: it was removed, or this host belongs to another cluster" \
      "If it was removed on purpose: bash ${CONF[STATE_DIR]}/bundle/install.sh uninstall"
  elif [[ ${KIND_OF[${own}]} == learner ]]; then
    verdict member-list failed "this member is a learner, without a vote" "Run ${CONF[HOST]}'s bundle again: it goes on from there."
  elif [[ -n ${unborn} ]]; then
    verdict member-list failed "etcd lists a member that has never started, and that this bundle does not know:${unborn}" \
      "If somebody is adding it, let that end. Otherwise it counts for the quorum for nothing, and is to be removed."
  elif [[ -n ${missing} ]]; then
    verdict member-list warning "no longer members:${missing}" "Run this host's newest bundle: it knows who is a member."
  elif [[ -n ${extra} ]]; then
    verdict member-list warning "members that this bundle does not know:${extra}" "Run this host's newest bundle: it knows who is a member."
  elif [[ -n ${coming} ]]; then
    read -r next _ <<< "${coming}"
    verdict member-list warning "not members yet:${coming}" "Run ${next}.run on its host next."
  else
    verdict member-list ok "etcd lists ${#MEMBER_IDS[@]} members, as expected"
  fi
}

# health_exit: the exit code for these verdicts.
health_exit() {
  if ((FAILED > 0)) || [[ ${ALL_MEMBERS} == yes && ${LEVEL} != cluster ]]; then
    printf '%d' "${EXIT_UNHEALTHY}"
  else
    printf 0
  fi
}

# do_health: repeats until healthy or until --wait is over.
do_health() {
  local start=${SECONDS} code
  [[ -z ${ROOT} ]] || die "${EXIT_USAGE}" "health asks a running etcd, which --root has not"
  start_progress
  while true; do
    clear_verdicts
    health_checks
    [[ ${DIVERGED} == yes ]] || note_member
    code=$(health_exit)
    if [[ ${code} == 0 ]] || ((SECONDS - start >= ${WAIT:-0})); then break; fi
    progress "$((SECONDS - start))" "${REASON}"
    sleep 1
  done
  end_progress
  [[ -z ${METRICS_FILE} ]] || health_metrics
  report_health "${code}"
  exit "${code}"
}

report_health() {
  local member comma=''
  [[ ${DIVERGED} == no ]] || LEVEL=diverged
  if [[ ${JSON} == yes ]]; then
    json '{"format": 1, "cluster": %s, "host": %s, "level": %s, ' "${CONF[CLUSTER]}" "${CONF[HOST]}" "${LEVEL}"
    printf '"exitCode": %d, "members": {' "$1"
    for member in ${CONF[MEMBERS]}; do
      json "${comma}%s: %s" "${member%%=*}" "${MEMBER_STATE[${member%%=*}]}"
      comma=', '
    done
    printf '}, "checks": ' && verdicts_json && printf '}\n'
  else
    print_verdicts
    say "$(level_text)"
  fi
}

# level_text: the level in a sentence.
level_text() {
  local answered total
  answered=$(count_members healthy unhealthy)
  total=$(member_count)
  case ${LEVEL} in
    diverged) printf 'DIVERGED: the members of %s do not hold the same data, or less than they have held; see above.' "${CONF[CLUSTER]}" ;;
    cluster) printf 'The cluster %s is healthy: all %d members answer.' "${CONF[CLUSTER]}" "${total}" ;;
    member) printf 'This member is healthy; %d of %d members answer so far. %s' "${answered}" "${total}" "$(next_step)" ;;
    waiting)
      # this member itself does not serve before there is a leader, but it runs
      printf '%d of %d members %s when %d do. %s' \
        "$(($(able_peers) + 1))" "${total}" "$("${CONF[OPERATION]}_waiting")" "$((total / 2 + 1))" "$(next_step)"
      ;;
    *) printf 'This member is not healthy: %s' "${REASON}" ;;
  esac
}
