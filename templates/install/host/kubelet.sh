# shellcheck shell=bash
# kubelet, systemd's and ours. With --root there is no running system: everything here does nothing.

# unit_property NAME: of kubelet.service, as systemd has it in force.
unit_property() {
  local line
  line=$(systemctl show -p "$1" kubelet.service 2> /dev/null) || return 1
  printf '%s' "${line#*=}"
}

KUBELET_VERSION=''

# kubelet_version VARIABLE: sets it to what kubelet says, asked once.
kubelet_version() {
  [[ -n ${KUBELET_VERSION} ]] || first_line KUBELET_VERSION "${CONF[KUBELET_BINARY]}" --version
  printf -v "$1" '%s' "${KUBELET_VERSION}"
}

kubelet_enabled() {
  local state=none
  if [[ -z ${ROOT} ]]; then
    state=$(systemctl is-enabled kubelet.service 2> /dev/null) || true
  fi
  printf '%s' "${state:-none}"
}

# starts_at_boot: is kubelet started when this host boots? By its own [Install] section, or by another unit that wants it.
starts_at_boot() {
  case $(kubelet_enabled) in
    enabled) return 0 ;;
    static | linked | indirect | generated | alias)
      [[ -n $(unit_property WantedBy || true) || -n $(unit_property RequiredBy || true) ]]
      ;;
    *) return 1 ;;
  esac
}

# how_to_enable: what to do where `systemctl enable` cannot.
how_to_enable() {
  case $(kubelet_enabled) in
    masked | masked-runtime) printf 'Unmask it: systemctl unmask kubelet.service' ;;
    static | linked* | indirect | generated | alias | transient)
      printf "Its unit has no [Install] section that counts. Install the kubelet package's own unit, or give it one: [Install], WantedBy=multi-user.target"
      ;;
    *) printf 'See why: systemctl enable kubelet.service' ;;
  esac
}

# kubelet_active: `activating` is normal before there is a configuration: the package restarts it for ever.
kubelet_active() {
  local state=none
  if [[ -z ${ROOT} ]]; then
    state=$(systemctl is-active kubelet.service 2> /dev/null) || true
  fi
  printf '%s' "${state:-none}"
}

# start_is_ours: does the command that systemd would run carry our configuration?
start_is_ours() {
  local command
  command=$(unit_property ExecStart) || return 1
  [[ ${command} == *"--config=${CONF[KUBELET_CONFIG]}"[\ \;]* || ${command} == *"--config ${CONF[KUBELET_CONFIG]}"[\ \;]* ]]
}

RESTARTS_BEFORE=0 # how often systemd had restarted kubelet when we started it

# needs_restart: did a file that kubelet reads only when it starts change in this transaction?
needs_restart() {
  noted "${CONF[KUBELET_DROPIN]}" || noted "${CONF[KUBELET_CONFIG]}" || [[ $(kubelet_active) != active ]]
}

# reload_units: written is not in force: what systemd would run after this must be ours.
reload_units() {
  [[ -z ${ROOT} ]] || return 0
  journal units
  systemctl daemon-reload || die "${EXIT_FAILED}" "systemctl daemon-reload failed" "See the messages above."
  start_is_ours || die "${EXIT_FAILED}" "kubelet would not start with our configuration: $(unit_property ExecStart)" \
    "A drop-in that sorts after ${CONF[KUBELET_DROPIN]##*/} sets ExecStart: see \`systemctl cat kubelet\`."
  tend_trust
  tend_backup
}

# in_first_boot: does the unit run us that kubelet's own start waits for?
in_first_boot() {
  [[ $(systemctl is-active "${FIRSTBOOT_UNIT##*/}" 2> /dev/null || true) == activating ]]
}

# start_kubelet: enabled, and restarted only if something it reads has changed.
start_kubelet() {
  local -a order=()
  [[ -z ${ROOT} ]] || return 0
  if ! starts_at_boot; then
    systemctl enable kubelet.service 2> /dev/null \
      || die "${EXIT_FAILED}" "kubelet could not be enabled: it is $(kubelet_enabled)" "$(how_to_enable)"
    # that it ended well says little
    starts_at_boot \
      || die "${EXIT_FAILED}" "kubelet is $(kubelet_enabled) after \`systemctl enable\`: it would not start when this host boots" "$(how_to_enable)"
    say "  enabled kubelet"
  fi
  if needs_restart; then
    # at the first boot the job for kubelet would wait for us, and we for it
    ! in_first_boot || order+=(--job-mode=ignore-dependencies)
    systemctl ${order[@]+"${order[@]}"} restart kubelet.service \
      || die "${EXIT_FAILED}" "kubelet did not start" "Its last words: $(kubelet_log 5)"
    number RESTARTS_BEFORE "$(unit_property NRestarts || true)" || true
    say "  restarted kubelet"
  fi
}

# kubelet_log LINES: its last messages.
kubelet_log() {
  have journalctl || return 0
  journalctl --unit kubelet.service --lines "$1" --no-pager --output cat 2> /dev/null || true
}

# kubelet_gives_up: has it been restarted so often since we started it that waiting is pointless?
kubelet_gives_up() {
  local restarts
  number restarts "$(unit_property NRestarts || true)" || return 1
  ((restarts >= RESTARTS_BEFORE + 5)) && [[ $(kubelet_active) != active ]]
}

# restore_kubelet ENABLED ACTIVE: as it was before; `activating` was a kubelet looping without a configuration.
restore_kubelet() {
  [[ -z ${ROOT} && $1 != none ]] || return 0
  systemctl daemon-reload || complain "systemctl daemon-reload failed" "Run it by hand."
  if [[ $1 == disabled && $(kubelet_enabled) == enabled ]]; then
    systemctl disable kubelet.service 2> /dev/null || complain "kubelet could not be disabled again"
  fi
  case $2 in
    active | activating | reloading)
      systemctl restart --no-block kubelet.service || complain "kubelet could not be restarted with its earlier configuration"
      ;;
    *)
      systemctl stop kubelet.service || complain "kubelet could not be stopped again"
      systemctl reset-failed kubelet.service 2> /dev/null || true
      ;;
  esac
}

# stop_timers PATH...: those among these files, if somebody enabled them, before their units go.
stop_timers() {
  local path
  [[ -z ${ROOT} ]] || return 0
  for path in "$@"; do
    [[ ${path} == /etc/systemd/system/*.timer ]] || continue
    systemctl disable --now "${path##*/}" > /dev/null 2>&1 || true
  done
}

# start_time PID [VARIABLE]: in clock ticks since boot, field 22 of /proc/PID/stat; fails if there is no such process.
start_time() {
  local stat
  local -a fields
  { read -r stat < "/proc/$1/stat"; } 2> /dev/null || return 1
  # the second field, the name in parentheses, may itself hold spaces and parentheses
  read -r -a fields <<< "${stat##*) }"
  is_number "${fields[19]-}" || return 1
  if [[ -n ${2-} ]]; then
    printf -v "$2" '%s' "${fields[19]}"
  else
    printf '%s' "${fields[19]}"
  fi
}

ETCD_PIDS=()

# find_etcd: sets ETCD_PIDS to the process ids of this member's etcd, found by its command line.
find_etcd() {
  local process
  local -a words
  ETCD_PIDS=()
  for process in /proc/[0-9]*; do
    mapfile -d '' -t words 2> /dev/null < "${process}/cmdline" || continue
    [[ ${#words[@]} -gt 1 && ${words[0]##*/} == etcd ]] || continue
    [[ " ${words[*]} " == *" --data-dir=${CONF[DATA_DIR]} "* && " ${words[*]} " == *" --name=${CONF[HOST]} "* ]] || continue
    of_a_pod "${process}" || continue
    ETCD_PIDS+=("${process#/proc/}")
  done 2> /dev/null
}

# etcd_processes: the same, printed.
etcd_processes() {
  find_etcd
  ((${#ETCD_PIDS[@]} == 0)) || printf '%s\n' "${ETCD_PIDS[@]}"
}

# of_a_pod PROCESS: is it root's, or in a Pod as another user's? Any user may call a process as etcd is called.
of_a_pod() {
  local groups=''
  [[ ! -O $1 ]] || return 0
  [[ -r $1/cgroup ]] && read_text "$1/cgroup" groups 2> /dev/null
  [[ ${groups} == */kubepods* ]]
}

# await_etcd_end SECONDS: has it ended within that time?
await_etcd_end() {
  local left=$1
  while [[ -n $(etcd_processes) ]]; do
    ((left-- > 0)) || return 1
    sleep 1
  done
}

# stop_etcd: after its manifest is gone. A kubelet that runs stops it; otherwise we ask the process itself.
stop_etcd() {
  local pid
  [[ -z ${ROOT} && -n $(etcd_processes) ]] || return 0
  say "  waiting for etcd to stop"
  if [[ $(kubelet_active) == active ]] && await_etcd_end 90; then
    return 0
  fi
  # without a kubelet nobody starts it again
  systemctl stop kubelet.service || true
  for pid in $(etcd_processes); do
    kill -TERM "${pid}" 2> /dev/null || true
  done
  await_etcd_end 30 || complain "etcd is still running (process $(etcd_processes))" "Stop it by hand."
}

# restart_etcd [SECONDS]: it reads the CA only when it starts; kubelet starts it again at once. Not one that has run
# since before that moment.
restart_etcd() {
  local pid
  [[ -z ${ROOT} ]] || return 0
  for pid in $(etcd_processes); do
    [[ -z ${1-} ]] || ! started_before "$(start_time "${pid}")" "$1" || continue
    kill -TERM "${pid}" 2> /dev/null || true
    say "  restarted etcd, which reads its CA only when it starts"
  done
}
