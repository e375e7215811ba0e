# shellcheck shell=bash
# Preflight checks of kubelet, kubeadm and the container runtime.

# minor TEXT VARIABLE: sets it to the minor number of the first v1.N in the text; fails if there is none.
minor() {
  [[ $1 =~ v1\.(0|[1-9][0-9]{0,3}) ]] && printf -v "$2" '%s' "${BASH_REMATCH[1]}"
}

check_kubelet() {
  local text is wanted
  running || return 0
  if [[ ! -x ${CONF[KUBELET_BINARY]} ]]; then
    verdict kubelet failed "there is no ${CONF[KUBELET_BINARY]}" \
      "Install kubelet ${CONF[KUBERNETES_VERSION]}, or set kubelet.binary to where it is and build again."
    return 0
  fi
  if [[ $(unit_property LoadState) != loaded ]]; then
    verdict kubelet failed "systemd knows no kubelet.service" "Install the kubelet package, which brings it."
    return 0
  fi
  case $(kubelet_enabled) in
    enabled | enabled-runtime | disabled) ;;
    *)
      if ! starts_at_boot; then
        verdict kubelet failed "kubelet.service is $(kubelet_enabled): it would not start when this host boots" "$(how_to_enable)"
        return 0
      fi
      ;;
  esac
  kubelet_version text
  minor "${CONF[KUBERNETES_VERSION]}" wanted
  if ! minor "${text}" is; then
    verdict kubelet failed "${CONF[KUBELET_BINARY]} --version says \"${text}\" instead of a version" "Install a working kubelet."
  elif ((is != wanted)); then
    verdict kubelet warning "kubelet is ${text#Kubernetes }, the bundle was made for ${CONF[KUBERNETES_VERSION]}" \
      "Its flags are checked by kubelet-flags; the same minor version is best."
  else
    verdict kubelet ok "${text}"
  fi
}

# check_kubelet_flags: kubelet dies of a flag it no longer knows, and needs others it does not know yet.
check_kubelet_flags() {
  local file flags text version wrong=''
  running || return 0
  kubelet_version text
  minor "${text}" version || return 0
  payload_file "${CONF[KUBELET_DROPIN]}" file
  read_text "${file}" flags
  if [[ ${flags} == *' --container-runtime='* ]] && ((version >= 27)); then
    wrong='--container-runtime was removed in 1.27'
  elif [[ ${flags} != *' --container-runtime-endpoint='* ]] && ((version < 27)); then
    wrong='the runtime can be named in the configuration file only since 1.27'
  fi
  if [[ -n ${wrong} ]]; then
    verdict kubelet-flags failed "kubelet is 1.${version}, and ${wrong}" \
      "Install kubelet ${CONF[KUBERNETES_VERSION]}, or build the bundle for the installed version."
  else
    verdict kubelet-flags ok "kubelet knows the flags and fields it is given"
  fi
}

# check_kubelet_files: without its resolv.conf kubelet starts no Pod (pkg/kubelet/network/dns/dns.go); without the others
# it does not start itself.
check_kubelet_files() {
  local file text line field path missing='' resolver=/etc/resolv.conf
  local pattern="^ *(clientCAFile|resolvConf|tlsCertFile|tlsPrivateKeyFile): [\"']?([^\"']*)[\"']?\$"
  local -a named=()
  running || return 0
  payload_file "${CONF[KUBELET_CONFIG]}" file
  read_text "${file}" text
  while IFS= read -r line; do
    [[ ${line} =~ ${pattern} ]] || continue
    if [[ ${BASH_REMATCH[1]} == resolvConf ]]; then
      resolver=${BASH_REMATCH[2]}
    else
      named+=("${BASH_REMATCH[1]} ${BASH_REMATCH[2]}")
    fi
  done <<< "${text}"
  for line in "resolvConf ${resolver}" ${named[@]+"${named[@]}"}; do
    field=${line%% *} path=${line#* }
    [[ -z ${path} || -n ${ENTRY_OF[${path}]+x} || -f ${path} && -r ${path} ]] && continue
    missing+=" ${path} (${field}$([[ ! -L ${path} ]] || printf ', a link to nothing'));"
  done
  if [[ -n ${missing} ]]; then
    verdict kubelet-files failed "kubelet's configuration names what is not there:${missing%;}" \
      "Without its resolvConf kubelet starts no Pod; an empty file will do. Make it, or name another one with kubelet.extraConfig and build again."
  else
    verdict kubelet-files ok "the files that kubelet's configuration names are there"
  fi
}

check_kubeadm() {
  local version is wanted config output
  running && [[ ${CONF[MANIFEST_MODE]} == kubeadm ]] || return 0
  if ! have kubeadm; then
    verdict kubeadm failed "kubeadm is not installed" \
      "Install kubeadm ${CONF[KUBERNETES_VERSION]}, or build with \`manifest: rendered\`, which needs none."
    return 0
  fi
  kubeadm_version version
  minor "${CONF[KUBERNETES_VERSION]}" wanted
  if ! minor "${version}" is; then
    verdict kubeadm failed "kubeadm version says \"${version}\" instead of a version" "Install a working kubeadm."
    return 0
  fi
  # kubeadm takes its own minor version and the one before
  if ((is != wanted && is != wanted + 1)); then
    verdict kubeadm failed "kubeadm is ${version} and cannot be used for ${CONF[KUBERNETES_VERSION]}" \
      "Install kubeadm 1.${wanted} or 1.$((wanted + 1))."
    return 0
  fi
  payload_file "${CONF[KUBEADM_CONFIG]}" config
  if ((is >= 28)) && ! output=$(kubeadm config validate --config "${config}" 2>&1); then
    verdict kubeadm failed "kubeadm ${version} does not accept ${CONF[KUBEADM_CONFIG]}: ${output//$'\n'/ }" \
      "Build the bundle for the installed version."
    return 0
  fi
  verdict kubeadm ok "kubeadm ${version}"
}

# runtime_answers SOCKET: asks with the tool there is. That a process listens proves little; without a tool it must do.
runtime_answers() {
  local sockets
  if have crictl; then
    timeout 10 crictl --runtime-endpoint "${CONF[RUNTIME_ENDPOINT]}" version > /dev/null 2>&1
  elif have ctr; then
    timeout 10 ctr --address "$1" version > /dev/null 2>&1
  else
    sockets=$(ss -H -l -x 2> /dev/null || true)
    [[ ${sockets} == *" $1 "* || ${sockets} == *" $(readlink -f -- "$1" || true) "* ]]
  fi
}

check_runtime() {
  local socket=${CONF[RUNTIME_ENDPOINT]#unix://}
  running || return 0
  if [[ ! -S ${socket} ]]; then
    verdict runtime failed "the container runtime's socket ${socket} is not there" \
      "Install and start containerd, or set kubelet.containerRuntimeEndpoint and build again."
  elif ! runtime_answers "${socket}"; then
    verdict runtime failed "the container runtime does not answer on ${socket}" "See \`systemctl status containerd\`."
  else
    verdict runtime ok "the container runtime answers on ${socket}"
  fi
}

check_cri() {
  local disabled
  running && runtime_is containerd || return 0
  runtime_setting disabled_plugins disabled
  if [[ ${disabled} == *'"cri"'* || ${disabled} == *io.containerd.grpc.v1.cri* || ${disabled} == *io.containerd.cri.v1* ]]; then
    verdict cri failed "containerd's configuration disables CRI, which kubelet needs: ${disabled}" \
      "Remove it from disabled_plugins in ${RUNTIME_FILE} and restart containerd."
  elif lacks_cri_v1; then
    verdict cri failed "containerd has CRI v1 since 1.6, which kubelet needs since 1.26, and this one is ${CONTAINERD_VERSION}" \
      "Install containerd 1.6 or later."
  else
    verdict cri ok "containerd offers CRI"
  fi
}

CONTAINERD_VERSION=''

# lacks_cri_v1: is this containerd older than the kubelet can do with? (kubernetes.io, CHANGELOG-1.26; containerd.io, 1.6.0)
lacks_cri_v1() {
  local text kubelet
  first_line text "${RUNTIME_WORDS[0]-containerd}" --version
  [[ ${text} =~ \ v?((0|1)\.([0-9]{1,3})\.[0-9]{1,3}) ]] || return 1
  CONTAINERD_VERSION=${BASH_REMATCH[1]}
  [[ ${BASH_REMATCH[2]} == 0 ]] || ((10#${BASH_REMATCH[3]} < 6)) || return 1
  kubelet_version text
  minor "${text}" kubelet && ((kubelet >= 26))
}

check_cgroup_driver() {
  local driver='' lines set
  running || return 0
  runtime_setting lines lines
  if ! number lines "${lines}" || ((lines == 0)); then
    driver=''
  elif runtime_is containerd; then
    runtime_setting SystemdCgroup set
    [[ ${set} == true ]] && driver=systemd || driver=cgroupfs
  elif runtime_is crio; then
    runtime_setting cgroup_manager driver
    driver=${driver:-systemd}
  fi
  if [[ -z ${driver} ]]; then
    verdict cgroup-driver warning "the runtime's cgroup driver could not be found out" \
      "It must be ${CONF[CGROUP_DRIVER]}, as kubelet's is."
  elif [[ ${driver} != "${CONF[CGROUP_DRIVER]}" ]]; then
    verdict cgroup-driver failed "the runtime uses the cgroup driver ${driver}, kubelet would use ${CONF[CGROUP_DRIVER]}" \
      "$(how_to_set_driver)"
  else
    verdict cgroup-driver ok "the runtime and kubelet use the cgroup driver ${driver}"
  fi
}

# how_to_set_driver: of the runtime that is asked for by default.
how_to_set_driver() {
  local name wanted=false
  runtime_setting default_runtime_name name
  [[ ${CONF[CGROUP_DRIVER]} != systemd ]] || wanted=true
  if runtime_is crio; then
    printf 'In /etc/crio, cgroup_manager must be %s; then restart crio.' "${CONF[CGROUP_DRIVER]}"
  else
    printf 'In %s, SystemdCgroup of the runtime %s must be %s; then restart containerd.' "${RUNTIME_FILE}" "${name:-runc}" "${wanted}"
  fi
}

check_cgroup_version() {
  local kind text version
  running || return 0
  kind=$(stat --file-system --format %T /sys/fs/cgroup)
  kubelet_version text
  minor "${text}" version || minor "${CONF[KUBERNETES_VERSION]}" version
  if [[ ${kind} == cgroup2fs ]]; then
    verdict cgroup-version ok "cgroup v2"
  elif ((version >= 35)) && [[ ${CONF[KUBELET_FAIL_CGROUP_V1]} == true ]]; then
    verdict cgroup-version failed "this host uses cgroup v1, and kubelet 1.${version} refuses to start there" \
      "Boot with cgroup v2, or set kubelet.extraConfig failCgroupV1: false and build again."
  else
    verdict cgroup-version ok "cgroup v1, which this kubelet accepts"
  fi
}
