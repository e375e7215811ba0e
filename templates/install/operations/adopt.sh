# shellcheck shell=bash
# adopt: a member that was made by hand, or by another tool, as kubeadm lays it out. What runs is compared with what this bundle
# would have made, item by item; then our files take their places beside an etcd that runs on, and the way back is what was there.

readonly BIRTH_FLAGS=' initial-cluster initial-cluster-state initial-cluster-token ' # which etcd reads once

adopt_checks() {
  printf '%s\n' root tools architecture systemd hostname kubelet kubeadm kubelet-flags kubelet-files runtime cri cgroup-driver \
    cgroup-version swap clock openssl history adoptable destinations drop-ins unfinished selinux
}

adopt_steps() {
  printf '%s\n' \
    'place place_files' \
    'place place_copy' \
    'start reload_units' \
    'start keep_pod' \
    'start start_kubelet'
}

# adopt_places PATH: all but what would restart etcd, and the CA, which is there.
adopt_places() {
  [[ $1 != "${CONF[PKI_DIR]}"/etcd/ca.* || ! -e ${ROOT}$1 ]] || return 1
  effect_of "$1"
  [[ ${EFFECT} != @(etcd|pod) || $1 == "${CONF[KUBEADM_CONFIG]}" ]]
}

adopt_in_place() {
  [[ -f ${STATE}/manifest.record ]] || return 1
  running || return 0
  made_here && starts_at_boot && [[ $(kubelet_active) == active ]] && start_is_ours
}

adopt_peers() {
  valid_peers
}

adopt_waiting() {
  renew_waiting
}

adopt_healthy() {
  running || return 0
  say "Asking etcd for the new certificates (at most ${SECONDS_TO_WAIT} s) ..."
  await_shown
  same_etcd || die "${EXIT_FAILED}" "etcd was restarted while this ran, and not by this run" "See why, then run this again."
  confirm_health member
}

# keep_pod: the manifest stays as it is, and is noted down as what was installed.
keep_pod() {
  running || return 0
  install_with_record "${CONF[STATIC_POD_MANIFEST]}"
}

declare -A FLAGS_FOUND=() FLAGS_WANTED=() # flag: value

FLAG='' VALUE='' # what split_flag found

# split_flag WORD: fails for what is no flag. One without a value is true.
split_flag() {
  [[ $1 == --?* ]] || return 1
  FLAG=${1#--} VALUE=true
  [[ ${FLAG} != *=* ]] || VALUE=${FLAG#*=}
  FLAG=${FLAG%%=*}
}

# etcd_found: the process id of the etcd that serves clients at this host's address, whatever it is called; fails without one.
etcd_found() {
  local users pid
  local -a sockets words
  mapfile -t sockets < <(ss -H -l -t -n -p 2> /dev/null || true)
  users=$(listener "${CONF[ADDRESS]}" "${CONF[CLIENT_PORT]}" ${sockets[@]+"${sockets[@]}"}) || return 1
  [[ ${users} =~ pid=([1-9][0-9]{0,9}), ]] || return 1
  pid=${BASH_REMATCH[1]}
  mapfile -d '' -t words 2> /dev/null < "/proc/${pid}/cmdline" || return 1
  [[ ${words[0]##*/} == etcd ]] && of_a_pod "/proc/${pid}" && printf '%s' "${pid}"
}

# manifest_wanted FILE: what this bundle would place, in FILE; fails with what kubeadm says.
manifest_wanted() {
  local pod=${CONF[STATIC_POD_MANIFEST]} source config apart=$1.apart
  if [[ ${CONF[MANIFEST_MODE]} == rendered ]]; then
    payload_file "${pod}" source
    cat -- "${source}" > "$1"
    return 0
  fi
  payload_file "${CONF[KUBEADM_CONFIG]}" config
  rm -rf -- "${apart}"
  mkdir -- "${apart}"
  kubeadm_apart "${apart}" "${pod%/*}" "${config}" 2>&1 && mv -- "${apart}/${pod##*/}" "$1" || return 1
  rm -rf -- "${apart}"
}

# differs TEXT: one difference between what runs here and the specification.
differs() {
  printable "$1"
  verdict adoptable failed "${PRINTABLE}" "Correct the specification, or what runs here."
}

# check_adoptable: what runs here is what the specification says, and all members agree. Every difference is said.
check_adoptable() {
  local made=${HERE}/manifest.wanted why pid
  running || return 0
  if ((EUID != 0)); then
    verdict adoptable ok "what runs here is looked at as root only"
    return 0
  fi
  if ! pid=$(etcd_found); then
    verdict adoptable failed "no etcd serves clients at ${CONF[ADDRESS]}:${CONF[CLIENT_PORT]}" \
      "A cluster that runs is adopted: start it first, or correct the address or the port in the specification."
    return 0
  fi
  if ! why=$(manifest_wanted "${made}"); then
    printable "${why}"
    verdict adoptable failed "kubeadm does not make the manifest to compare with: ${PRINTABLE}"
    return 0
  fi
  compare_flags "${pid}" "${made}"
  compare_image "${made}"
  compare_ca
  has_fault adoptable || compare_members
  rm -f -- "${made}"
  has_fault adoptable || verdict adoptable ok "what runs here is what the specification says, and all members serve"
  compare_kubelet
}

# compare_kubelet: its set-up is replaced, so that it is said, and refuses nothing.
compare_kubelet() {
  local path other=''
  for path in "${CONF[KUBELET_DROPIN]}" "${CONF[KUBELET_CONFIG]}"; do
    [[ ! -e ${path} || $(sha256 "${path}") == "${ENTRY_SHA[${ENTRY_OF[${path}]}]}" ]] || other+=" ${path}"
  done
  [[ -z ${other} ]] || verdict adoptable warning "kubelet's set-up is not as the specification makes it, and is replaced:${other}" \
    "See what changes: sh ${CONF[HOST]}.run -- plan. kubelet restarts, and its containers run on."
}

# compare_flags PID FILE
compare_flags() {
  local flag found wanted
  FLAGS_FOUND=() FLAGS_WANTED=()
  while IFS= read -r -d '' flag; do
    ! split_flag "${flag}" || FLAGS_FOUND[${FLAG}]=${VALUE}
  done < "/proc/$1/cmdline"
  while IFS= read -r flag; do
    ! split_flag "${flag}" || FLAGS_WANTED[${FLAG}]=${VALUE}
  done < <(manifest_flags "$2")
  while IFS= read -r flag; do
    [[ ${BIRTH_FLAGS} != *" ${flag} "* ]] || continue
    found=${FLAGS_FOUND[${flag}]-} wanted=${FLAGS_WANTED[${flag}]-}
    if [[ -z ${FLAGS_WANTED[${flag}]+x} ]]; then
      differs "etcd runs with --${flag}=${found}, which the specification does not ask for"
    elif [[ -z ${FLAGS_FOUND[${flag}]+x} ]]; then
      differs "etcd runs without --${flag}, and the specification asks for ${wanted}"
    elif [[ ${found} != "${wanted}" ]]; then
      case ${flag} in
        name) differs "the member here is called ${found}, and ${wanted} in the specification" ;;
        data-dir) differs "etcd's data is in ${found}, and in ${wanted} by the specification" ;;
        *) differs "etcd runs with --${flag}=${found}, and the specification asks for ${wanted}" ;;
      esac
    fi
  done < <(printf '%s\n' "${!FLAGS_FOUND[@]}" "${!FLAGS_WANTED[@]}" | LC_ALL=C sort -u)
}

# image_in FILE: that of a static Pod manifest.
image_in() {
  local line pattern="^ *-? *image: *[\"']?([A-Za-z0-9._:/@-]+)[\"']? *\$"
  while IFS= read -r line || [[ -n ${line} ]]; do
    [[ ${line} =~ ${pattern} ]] || continue
    printf '%s' "${BASH_REMATCH[1]}"
    return 0
  done < "$1"
}

# compare_image FILE
compare_image() {
  local pod=${CONF[STATIC_POD_MANIFEST]} found wanted
  if [[ ! -f ${pod} ]]; then
    differs "there is no ${pod}, so kubelet does not run this etcd as a static Pod"
    return 0
  fi
  found=$(image_in "${pod}") wanted=$(image_in "$1")
  [[ ${found} == "${wanted}" ]] || differs "the image is ${found:-unknown}, and ${wanted} by the specification"
}

# compare_ca: by the certificate, however its file is written.
compare_ca() {
  local ca=${CONF[PKI_DIR]}/etcd/ca.crt file found wanted
  payload_file "${ca}" file
  found=$(openssl x509 -noout -fingerprint -sha256 -in "${ca}" 2> /dev/null) || found=''
  wanted=$(openssl x509 -noout -fingerprint -sha256 -in "${file}" 2> /dev/null) || wanted=''
  if [[ -z ${found} ]]; then
    differs "there is no CA in ${ca}"
  elif [[ ${found} != "${wanted}" ]]; then
    differs "the CA in ${ca} is another one (${found#*=}) than pki.ca names (${wanted#*=})"
  fi
}

# compare_members: after the CA. The list by address, as each of them has it.
compare_members() {
  local member name id clusters='' cluster listed=''
  local -A expected=()
  if ! use_bundle_keys; then
    verdict adoptable ok "the members are asked once the keys are open"
    return 0
  fi
  probe_members
  for member in ${CONF[MEMBERS]}; do
    name=${member%%=*}
    expected[$(peer_url "${member#*=}")]=${name}
    if [[ ${MEMBER_STATE[${name}]} != healthy ]]; then
      differs "${name} (${member#*=}) is ${MEMBER_STATE[${name}]}, and all members must serve"
    elif list_members "${member#*=}"; then
      cluster=${LIST_CLUSTER}
      [[ ${clusters} == *" ${cluster} "* ]] || clusters+=" ${cluster} "
    fi
  done
  if [[ ${clusters} == *' '*' '*' '*' '* ]]; then
    differs "the members are of several clusters"
  elif ! list_members "${CONF[ADDRESS]}"; then
    differs "the member here does not tell its member list"
  else
    for id in "${MEMBER_IDS[@]}"; do
      name=${expected[${URL_OF[${id}]}]-}
      if [[ -z ${name} ]]; then
        differs "etcd lists a member that the specification does not have: ${NAME_OF[${id}]-one that has never started} (${URL_OF[${id}]})"
      elif [[ ${KIND_OF[${id}]} != voter ]]; then
        differs "${name} is a learner: it is being added, and has no vote yet"
      elif [[ ${NAME_OF[${id}]-} != "${name}" ]]; then
        differs "the member at ${URL_OF[${id}]} is called ${NAME_OF[${id}]-nothing}, and ${name} in the specification"
      fi
      listed+=" ${name} "
    done
    for name in "${expected[@]}"; do
      [[ ${listed} == *" ${name} "* ]] || differs "etcd does not list ${name}, which the specification has"
    done
  fi
  use_host_keys
}
