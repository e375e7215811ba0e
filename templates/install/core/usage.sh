# shellcheck shell=bash
# Help, and the command line.

usage() {
  printf '%s\n' \
    'Usage: sh HOST.run [-- VERB [OPTIONS]]' \
    '' \
    'Verbs:' \
    '  install      check this host, put everything in place, start etcd, see that it works (default)' \
    '  preflight    only check this host; change nothing' \
    '  plan         show what install would change; change nothing' \
    '  health       how etcd is; also installed on the host as a command of its own' \
    '  snapshot     all that this member holds, in one file, as etcdctl would save it; works without a quorum' \
    '  stop         the first half of a restore: stop etcd here; its data stays where it is' \
    '  rollback     undo what this bundle did, if nothing newer stands on it; for the copy on the host: the newest change' \
    '  uninstall    undo all changes it made; etcd data is moved aside, never deleted' \
    '  identify     whose bundle this is; exit code 0 on its machine, 10 on any other' \
    '  bake         place everything in an image that is being built and start nothing; base.run: for all hosts' \
    '  hygiene      check that an image may be shared: no key, identity or trace of a host; also "bake --check"' \
    '  firstboot    what bundlegen-firstboot.service runs in an image that was baked' \
    '' \
    'Options:' \
    '  --ignore NAME    let the check NAME only warn (may be repeated; recorded in the receipt)' \
    '  --allow PATH     hygiene: this one file or folder may be in the image (may be repeated; named in the report)' \
    '  --to CHANGE      rollback: go back to how the host was after CHANGE; says what it costs, and asks' \
    '  --yes            rollback --to: do not ask' \
    '  --wait SECONDS   how long to wait for etcd (install: 300, health: 0)' \
    '  --cluster        health: demand that every member answers, and that they agree' \
    '  --no-hash        health --cluster: do not compare what the members hold' \
    '  --metrics FILE   health: write what was found for node-exporter as well (an absolute path)' \
    '  --output FILE    snapshot: a new file, as an absolute path that ends in .db; otherwise one of the day in' \
    '                   /var/lib/bundlegen/CLUSTER/snapshots' \
    '  --scheduled      snapshot: into the folder of "backup", where the oldest ones then go' \
    '  --no-snapshot    install: where a bundle takes a snapshot first (upgrade, remove, rotate-ca), take none' \
    '  --control-planes-ready   second round of another CA: API servers have their new pair' \
    '  --accept-downtime        another CA at once: the cluster does not serve meanwhile' \
    '  --snapshot FILE  restore: where the snapshot is; otherwise looked for as *.db beside the bundle, in the working' \
    '                   folder, and among the snapshots of this host' \
    '  --images FILE    where images.tar.gz is, if this bundle needs it; otherwise looked for beside the bundle, in the' \
    '                   working folder, and in /usr/local/lib/bundlegen' \
    '  --json           health, preflight, hygiene: one JSON document on standard output' \
    '  --unlock-file FILE   where the unlock code of sealed keys is; otherwise standard input or the terminal' \
    '  --root DIR       work on the file tree DIR (an absolute path) instead of the running system' \
    '  --help           this text; "health --help" explains the health report' \
    '' \
    'Exit codes: 0 done, or already so; 2 usage; 10 wrong host; 11 a preflight check failed; 12 damaged bundle;' \
    '            13 failed and rolled back; 14 unhealthy; 15 another run is busy'
}

health_usage() {
  printf '%s\n' \
    'NAME' \
    '       health - how the etcd member on this host and its cluster are' \
    '' \
    'SYNOPSIS' \
    '       bundlegen-health [--cluster] [--wait SECONDS] [--json] [--metrics FILE]' \
    '       sh HOST.run -- health [--cluster] [--wait SECONDS] [--json] [--metrics FILE]' \
    '' \
    'DESCRIPTION' \
    '       Asks, level by level, and changes nothing:' \
    '       files        everything the bundle placed is there, unchanged, and keys are private' \
    '       expiry       when the first certificate expires (a warning from 30 days before)' \
    '       kubelet      it runs, with our configuration' \
    '       container    the etcd process runs' \
    '       member       this member serves, or waits for others to elect a leader' \
    '       members      each member of the cluster, asked over TLS' \
    '       member-list  etcd itself knows as many members as the bundle' \
    '       alarms, leader, database    what etcd says about itself' \
    '       data, past   its log is in its place, and it has not fallen behind what it has reached before' \
    '       cluster-id, one-leader, voters, hash    with --cluster: whether the members agree' \
    '       It needs bash, coreutils and openssl; no etcdctl, crictl or curl.' \
    '' \
    'OPTIONS' \
    '       --cluster        demand that every member answers, not only this one, and that all agree: one cluster,' \
    '                        one leader, no learner, the same data' \
    '       --no-hash        with --cluster: do not compare the hashes of what the members hold' \
    '       --wait SECONDS   ask again until healthy, at most this long' \
    '       --json           one JSON document on standard output' \
    '       --metrics FILE   write expiry, member, leader, database, quota and alarms to this file as well, in one step,' \
    "                        for node-exporter's textfile collector; FILE is an absolute path that ends in .prom" \
    '' \
    'EXIT STATUS' \
    '       0   healthy; without --cluster also: this member runs and waits for the others' \
    '       14  not healthy; also if members have diverged' \
    '       2   wrong usage' \
    '' \
    'FILES' \
    '       /var/lib/bundlegen/CLUSTER/bundle/     the installer and its data, used by this command' \
    '       /var/lib/bundlegen/CLUSTER/receipts/   what was done to this host'
}

bad_usage() {
  die "${EXIT_USAGE}" "$1" "\`--help\` shows the verbs and options."
}

# need_value OPTION REST...: options take their value as the next word.
need_value() {
  (($# > 1)) || bad_usage "$1 needs a value"
}

parse_arguments() {
  local verb='' help=no checking=no
  while (($# > 0)); do
    case $1 in
      install | preflight | plan | health | snapshot | stop | rollback | uninstall | identify | bake | hygiene | firstboot)
        [[ -z ${verb} ]] || bad_usage "one verb at a time: ${verb} or $1"
        verb=$1
        ;;
      --ignore)
        need_value "$@"
        IGNORED+=("$2")
        shift
        ;;
      --allow)
        need_value "$@"
        [[ $2 == /?* && $2 != *[!A-Za-z0-9/._@+-]* && $2/ != */../* ]] \
          || bad_usage "--allow needs an absolute path of letters, digits and / . _ @ + -, not \"${2//[![:print:]]/?}\""
        ALLOWED+=("$2")
        shift
        ;;
      --wait)
        need_value "$@"
        [[ $2 =~ ^[0-9]{1,5}$ ]] || bad_usage "--wait needs a number of seconds, not \"$2\""
        WAIT=$((10#$2))
        SECONDS_TO_WAIT=${WAIT}
        shift
        ;;
      --output)
        need_value "$@"
        [[ $2 == /?*.db && $2 != *[!A-Za-z0-9/._@+-]* && $2/ != */../* ]] \
          || bad_usage "--output needs an absolute path of letters, digits and / . _ @ + - that ends in .db, not \"${2//[![:print:]]/?}\""
        OUTPUT=$2
        shift
        ;;
      --metrics)
        need_value "$@"
        [[ $2 == /?*.prom && $2 != *[!A-Za-z0-9/._@+-]* && $2/ != */../* ]] \
          || bad_usage "--metrics needs an absolute path of letters, digits and / . _ @ + - that ends in .prom, not \"${2//[![:print:]]/?}\""
        METRICS_FILE=$2
        shift
        ;;
      --snapshot)
        need_value "$@"
        SNAPSHOT_OPTION=$2
        [[ $2 == /* ]] || SNAPSHOT_OPTION=${CALLER_PWD}/$2
        [[ -f ${SNAPSHOT_OPTION} && -r ${SNAPSHOT_OPTION} ]] || bad_usage "--snapshot needs a file that can be read, not \"$2\""
        shift
        ;;
      --scheduled) SCHEDULED=yes ;;
      --no-snapshot) SNAPSHOT=no ;;
      --control-planes-ready) PLANES_READY=yes ;;
      --accept-downtime) DOWNTIME=yes ;;
      --unlock-file)
        need_value "$@"
        UNLOCK_FILE=$2
        [[ $2 == /* ]] || UNLOCK_FILE=${CALLER_PWD}/$2
        [[ -f ${UNLOCK_FILE} && -r ${UNLOCK_FILE} ]] || bad_usage "--unlock-file needs a file that can be read, not \"$2\""
        shift
        ;;
      --images)
        need_value "$@"
        IMAGES_OPTION=$2
        [[ $2 == /* ]] || IMAGES_OPTION=${CALLER_PWD}/$2
        [[ -f ${IMAGES_OPTION} && -r ${IMAGES_OPTION} ]] || bad_usage "--images needs a file that can be read, not \"$2\""
        shift
        ;;
      --root)
        need_value "$@"
        [[ $2 == /* && -d $2 ]] || bad_usage "--root needs the absolute path of a folder that exists, not \"$2\""
        ROOT=${2%/}
        shift
        ;;
      --to)
        need_value "$@"
        [[ $2 =~ ^${CHANGE_SHAPE}$ ]] || bad_usage "--to needs the name of a change, such as create or 2-configure, not \"$2\""
        TO=$2
        shift
        ;;
      --yes) YES=yes ;;
      --json) JSON=yes ;;
      --cluster) ALL_MEMBERS=yes ;;
      --no-hash) COMPARE=no ;;
      --check) checking=yes ;;
      --help | -h | help) help=yes ;;
      --) ;;
      *) bad_usage "unknown word \"$1\"" ;;
    esac
    shift
  done
  VERB=${verb:-install}
  if [[ ${checking} == yes ]]; then
    [[ ${VERB} == bake ]] || bad_usage "--check belongs to bake"
    VERB=hygiene
  fi
  if [[ ${help} == yes ]]; then
    if [[ ${VERB} == health ]]; then health_usage; else usage; fi
    exit 0
  fi
  [[ ${ALL_MEMBERS} == no || ${VERB} == health ]] || bad_usage "--cluster belongs to health"
  [[ ${COMPARE} == yes || ${ALL_MEMBERS} == yes ]] || bad_usage "--no-hash belongs to health --cluster"
  [[ ${SNAPSHOT} == yes || ${VERB} == install ]] || bad_usage "--no-snapshot belongs to install"
  [[ -z ${SNAPSHOT_OPTION} || ${VERB} == @(install|preflight|plan) ]] || bad_usage "--snapshot belongs to install"
  [[ ${PLANES_READY} == no || ${VERB} == @(install|preflight|plan) ]] || bad_usage "--control-planes-ready belongs to install"
  [[ ${DOWNTIME} == no || ${VERB} == @(install|preflight|plan) ]] || bad_usage "--accept-downtime belongs to install"
  [[ ${SCHEDULED} == no || ${VERB} == snapshot && -z ${OUTPUT} ]] || bad_usage "--scheduled belongs to snapshot, without --output"
  [[ -z ${OUTPUT} || ${VERB} == snapshot ]] || bad_usage "--output belongs to snapshot"
  [[ -z ${METRICS_FILE} || ${VERB} == health ]] || bad_usage "--metrics belongs to health"
  ((${#ALLOWED[@]} == 0)) || [[ ${VERB} == hygiene ]] || bad_usage "--allow belongs to hygiene"
  [[ -z ${TO} || ${VERB} == rollback ]] || bad_usage "--to belongs to rollback"
  [[ ${YES} == no || -n ${TO} ]] || bad_usage "--yes belongs to rollback --to"
  [[ ${JSON} == no || ${VERB} == @(health|preflight|hygiene) ]] || bad_usage "--json belongs to health, preflight and hygiene"
  # a tree like any other, so that nothing about it is taken for the running system
  [[ ${VERB} != @(bake|hygiene) ]] || ROOT=${ROOT:-/.}
}
