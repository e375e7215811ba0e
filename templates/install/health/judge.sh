# shellcheck shell=bash
# Which etcd is judged? kubelet starts a changed static Pod 10 to 15 s after it has stopped the old one, and until it
# stops that, the old one answers as if nothing had happened. So what runs is noted before anything is changed, and
# after a restart another process is waited for, with the command line that the manifest has now. One that ends again
# and again is not waited for.

readonly POD_LOGS=/var/log/pods
readonly TICKS=100 # of the times in /proc, a second: the same on every machine that systemd runs on

AWAITED=no           # must another etcd run than those in RAN_BEFORE?
ORIGINAL=0           # one that started before this moment is as good as another one; seconds since 1970
FINAL=''             # what etcd said a moment ago of why it will never serve
LOOPED=no            # did it look like a crash loop a moment ago?
RAN_BEFORE=' '       # "PID:START" of every etcd of this member, before anything was changed
NEWBORN=' '          # the same of those that were started to make their log
SEEN=' '             # the same of those that were seen since
declare -A LOGS=()   # folder of logs: the number of the newest one, before anything was changed
GAINED=() DROPPED=() # flags that the manifest has now and had not before, and the other way round

# each_etcd: "PID:START" of every etcd process of this member.
each_etcd() {
  local pid start
  find_etcd
  for pid in ${ETCD_PIDS[@]+"${ETCD_PIDS[@]}"}; do
    ! start_time "${pid}" start || printf '%s:%s\n' "${pid}" "${start}"
  done
}

# newest_logs: "NUMBER OLDEST FOLDER" for the logs of each Pod of etcd; kubelet numbers them by start, and keeps the last few.
newest_logs() {
  local folder file number newest oldest
  for folder in "${POD_LOGS}"/kube-system_etcd-*/etcd; do
    newest=-1
    for file in "${folder}"/*.log; do
      number=${file##*/}
      number=${number%.log}
      [[ -f ${file} && ${number} =~ ^(0|[1-9][0-9]{0,8})$ ]] || continue
      ((newest >= 0 && number >= oldest)) || oldest=${number}
      ((number <= newest)) || newest=${number}
    done
    ((newest < 0)) || printf '%d %d %s\n' "${newest}" "${oldest}" "${folder}"
  done
}

# note_etcd [SECONDS]: what runs now is what ran before; not what has started since that moment.
note_etcd() {
  local etcd folder number
  AWAITED=no ORIGINAL=0 LOOPED=no FINAL='' RAN_BEFORE=' ' SEEN=' ' LOGS=() GAINED=() DROPPED=()
  while read -r etcd; do
    [[ -n ${1-} ]] && ! started_before "${etcd#*:}" "$1" || RAN_BEFORE+="${etcd} "
  done < <(each_etcd)
  while read -r number _ folder; do
    LOGS[${folder}]=${number}
  done < <(newest_logs)
}

# lived: did this member run before anything was changed?
lived() {
  [[ ${RAN_BEFORE} != ' ' ]]
}

# await_another OLD NEW: another etcd is to come, of the manifest NEW instead of OLD.
await_another() {
  local flag
  local -a before after
  AWAITED=yes
  mapfile -t before < <(manifest_flags "$1")
  mapfile -t after < <(manifest_flags "$2")
  for flag in ${after[@]+"${after[@]}"}; do
    [[ $'\n'$(printf '%s\n' "${before[@]-}")$'\n' == *$'\n'"${flag}"$'\n'* ]] || GAINED+=("${flag}")
  done
  for flag in ${before[@]+"${before[@]}"}; do
    [[ $'\n'$(printf '%s\n' "${after[@]-}")$'\n' == *$'\n'"${flag}"$'\n'* ]] || DROPPED+=("${flag}")
  done
}

# manifest_flags FILE: the flags in a static Pod manifest; not those with a space, which YAML may write in many ways.
manifest_flags() {
  local line pattern="^ *- ([\"']?)(--[^ ]+)\$"
  [[ -f $1 ]] || return 0
  while IFS= read -r line || [[ -n ${line} ]]; do
    [[ ${line} =~ ${pattern} && ${BASH_REMATCH[2]} == *"${BASH_REMATCH[1]}" ]] || continue
    line=${BASH_REMATCH[2]}
    printf '%s\n' "${line%"${BASH_REMATCH[1]}"}"
  done < "$1"
}

# fits PID: has this process the flags that the manifest has gained, and none that it has dropped?
fits() {
  local flag text
  local -a words
  mapfile -d '' -t words 2> /dev/null < "/proc/$1/cmdline" || return 1
  text=$'\n'$(printf '%s\n' "${words[@]-}")$'\n'
  for flag in ${GAINED[@]+"${GAINED[@]}"}; do
    [[ ${text} == *$'\n'"${flag}"$'\n'* ]] || return 1
  done
  for flag in ${DROPPED[@]+"${DROPPED[@]}"}; do
    [[ ${text} != *$'\n'"${flag}"$'\n'* ]] || return 1
  done
}

# started_before START SECONDS: did a process with this start in /proc start before that moment?
started_before() {
  local word boot=''
  while read -r word boot; do
    [[ ${word} != btime ]] || break
  done < /proc/stat
  is_number "${boot}" && is_number "$1" && is_number "$2" && ((boot + $1 / TICKS < $2))
}

# is_right PID:START: by its flags if these have changed; otherwise it must be another one.
is_right() {
  [[ ${AWAITED} == yes ]] || return 0
  fits "${1%:*}" || return 1
  ((${#GAINED[@]} + ${#DROPPED[@]} == 0)) || return 0
  [[ ${RAN_BEFORE} != *" $1 "* ]] || started_before "${1#*:}" "${ORIGINAL}"
}

# forget_newborn: the etcd that got its log a moment ago is to be followed by another one; neither it nor its end counts.
forget_newborn() {
  local etcd folder number
  SEEN=' ' LOOPED=no FINAL=''
  while read -r etcd; do
    NEWBORN+="${etcd} "
  done < <(each_etcd)
  while read -r number _ folder; do
    LOGS[${folder}]=${number}
  done < <(newest_logs)
}

RIGHT='' # "PID:START" of the etcd that is to be judged

# find_right: sets RIGHT; fails while it does not run.
find_right() {
  local etcd
  RIGHT=''
  while read -r etcd; do
    [[ -n ${etcd} ]] || continue
    [[ ${RAN_BEFORE}${NEWBORN} == *" ${etcd} "* || ${SEEN} == *" ${etcd} "* ]] || SEEN+="${etcd} "
    is_right "${etcd}" || continue
    RIGHT=${etcd}
    return 0
  done < <(each_etcd)
  return 1
}

# ended: how often etcd has ended since note_etcd, of those that have started since: by kubelet's logs, and by the
# processes that were seen, where logs are kept elsewhere. The folder of a Pod that comes back may come back with it, and its
# numbers go on: what was before is then not known by them.
ended() {
  local folder number oldest before starts=0 seen=0 running=0 etcd
  while read -r number oldest folder; do
    before=${LOGS[${folder}]-}
    [[ -n ${before} ]] && ((before <= number)) || before=$((oldest - 1))
    starts=$((starts + number - before))
  done < <(newest_logs)
  for etcd in ${SEEN}; do
    seen=$((seen + 1))
    [[ $(start_time "${etcd%:*}") != "${etcd#*:}" ]] || running=1
  done
  ((starts >= seen)) || starts=${seen}
  printf '%d' "$((starts - running))"
}

# crash_loops: has etcd ended twice? Asked once a second: a log is there a moment before its process can be seen, so
# it must be so two times running.
crash_loops() {
  local earlier=${LOOPED}
  LOOPED=no
  (($(ended) < 2)) || LOOPED=yes
  [[ ${earlier} == yes && ${LOOPED} == yes ]]
}

# probe_right: as probe, of the etcd that is to be judged.
probe_right() {
  if find_right || [[ ${AWAITED} == no ]]; then
    probe
  else
    LEVEL=down REASON='kubelet has not started etcd again yet'
  fi
}

# is_final: does etcd say itself that it will never serve so? Says why in REASON. One end is enough for that, but it must be so two
# times running: the newest log that says anything may still be that of the etcd before.
is_final() {
  local words earlier=${FINAL}
  FINAL=''
  if [[ ${REASON} == *'certificate has expired'* ]]; then
    REASON="a certificate has expired, its own or this host's (${REASON}): new ones are made by: bundlegen renew SPEC; set the clock if it is wrong"
    return 0
  fi
  (($(ended) > 0)) && words=$(etcd_error) || return 1
  case ${words} in
    *'already been bootstrapped'*)
      words="the other members know ${CONF[HOST]} as one that has started, so it cannot start anew; replace the member: bundlegen replace SPEC HOST"
      ;;
    *'permanently removed'*)
      words="${CONF[HOST]} was removed from the cluster, for ever under this identity; replace the member: bundlegen replace SPEC HOST"
      ;;
    *'cluster ID mismatch'*)
      words="its data is of another cluster than that of the other members (cluster ID mismatch)"
      ;;
    *'cannot fetch cluster info'*)
      words="it has no data to start from, and may not start anew: mount its disk, or replace the member: bundlegen replace SPEC HOST"
      ;;
    *) return 1 ;;
  esac
  FINAL=${words}
  [[ ${earlier} == "${words}" ]] || return 1
  REASON=${words}
}

# is_hopeless: is waiting pointless? Says why in REASON.
is_hopeless() {
  local words
  if is_final; then
    return 0
  elif crash_loops; then
    words=$(etcd_error) || words='it left no message'
    REASON="it ends again and again: ${words}"
  elif kubelet_gives_up; then
    REASON="kubelet keeps failing: $(kubelet_log 3)"
  else
    return 1
  fi
}
