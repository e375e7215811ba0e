# shellcheck shell=sh
# Before the first line of makeself's: bundlegen's own, in the words and with the exit codes of the installer.
# In braces, which a shell reads to their end before it begins: a copy that ends in here does nothing and fails.
{
  # What surrounds a bundle has no say in it. In its POSIX mode bash takes `unset` and `exec` for its own, whatever
  # functions came in the environment; started again with -p it takes none of these, nor settings.
  POSIXLY_CORRECT=1
  unset -f echo test
  if ! test -f "$0"; then
    echo "error: a bundle is run from a file, and this is none" >&2
    echo "       Save it as a file, such as infra0.run, and run: sh infra0.run" >&2
    exit 2
  fi
  case "${BASH_VERSION:+bash}$-" in
    bash*p*) ;;
    bash*) exec /bin/bash -p "$0" "$@" ;;
    *) ;;
  esac
  unset BASH_ENV BASH_XTRACEFD CDPATH ENV GUESS_MD5_PATH GZIP POSIXLY_CORRECT SETUP_NOCHECK SHA_ARG TAR_OPTIONS
  finish=:

  MS_damaged() {
    echo "error: this bundle is damaged: $1" >&2
    echo "       Nothing was changed. Copy the bundle again and compare its SHA-256 with SHA256SUMS." >&2
    eval "${finish}"
    exit 12
  }

  MS_whole="@WHOLE@"
  MS_size=$(($(wc -c < "$0")))
  test "${MS_size}" -eq "${MS_whole}" || MS_damaged "it is ${MS_size} bytes long and should be ${MS_whole}"
}

# MS_new_folder FOLDER: ends where it cannot be a new one, in which nobody but root and us can put something else.
MS_new_folder() {
  if test -e "$1" || test -h "$1"; then
    MS_refuse "$1 is there already" "Name a folder that is not there yet."
  fi
  MS_above=$(cd "$(dirname "$1")" 2> /dev/null && pwd -P) || MS_refuse "there is no folder in which $1 could be made"
  MS_us=$(id -u)
  while :; do
    MS_found=$(find "${MS_above}" -prune \( -user 0 -o -user "${MS_us}" \) \( ! -perm -0002 -o -perm -1000 \))
    test -n "${MS_found}" || MS_refuse "others can change what is in ${MS_above}, and keys would be in it" \
      "Name a folder in one of your own."
    test "${MS_above}" != / || return 0
    MS_above=$(dirname "${MS_above}")
  done
}

# MS_refuse MESSAGE [WHAT TO DO]: as for any wrong use.
MS_refuse() {
  echo "error: $1" >&2
  test -z "${2-}" || echo "       $2" >&2
  exit 2
}
