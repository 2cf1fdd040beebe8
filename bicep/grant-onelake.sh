#!/usr/bin/env bash
# Gives identities the role Contributor in a Fabric workspace, so that they may write its lakehouse. OneLake knows no Azure
# roles, so the deployment cannot do it. May be repeated: who has the role keeps it, and nobody loses a greater one.
#
#   bicep/grant-onelake.sh WORKSPACE_ID OBJECT_ID...
#
# The deployment's output `grantOneLake` has the commands with their ids. Needs the Azure CLI, logged on as an admin of the
# workspace. Exit code: 0 all have the role, 1 some do not, 2 the arguments are wrong.
set -euo pipefail

guid='^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
# A new identity is known everywhere only after a while.
attempts=${GRANT_ATTEMPTS:-8} wait=${GRANT_WAIT_SECONDS:-15}

usage() {
  sed -n 's/^#   bicep/usage: bicep/p' "$0" >&2
  exit 2
}

(($# >= 2)) || usage
for id in "$@"; do
  [[ $id =~ $guid ]] || {
    echo "not a GUID: $id" >&2
    usage
  }
done
command -v az >/dev/null || {
  echo "az is missing: https://learn.microsoft.com/cli/azure/install-azure-cli, then az login" >&2
  exit 1
}

workspace=$1
shift
api=https://api.fabric.microsoft.com
assignments=$api/v1/workspaces/$workspace/roleAssignments

# fabric METHOD URL [ARGUMENT...]: the answer, or the error's text and false.
fabric() {
  az rest --only-show-errors --method "$1" --resource "$api" --url "$2" "${@:3}" 2>&1
}

post() {
  fabric post "$assignments" --headers Content-Type=application/json \
    --body "{\"principal\":{\"id\":\"$1\",\"type\":\"ServicePrincipal\"},\"role\":\"Contributor\"}"
}

# The role of a principal that has one.
role_of() {
  fabric get "$assignments/$1" --query role --output tsv
}

patch() {
  fabric patch "$assignments/$1" --headers Content-Type=application/json --body '{"role":"Contributor"}'
}

explain() {
  echo "$1: $2" >&2
  case $2 in
    *Unauthorized* | *Forbidden* | *Insufficient*)
      echo "Log on (az login) as an admin of workspace $workspace. The tenant setting \"Service principals can call Fabric public APIs\" must be on for the identities." >&2
      ;;
    *[Ww]orkspace*[Nn]ot*[Ff]ound* | *EntityNotFound*)
      echo "Is $workspace the id of the workspace? It stands in the address of the workspace in the portal." >&2
      ;;
  esac
}

# raise PRINCIPAL ROLE: to Contributor, unless the role that it has is as much or more.
raise() {
  local answer
  case $2 in
    Contributor | Member | Admin)
      echo "$1: $2 already"
      ;;
    *)
      if ! answer=$(patch "$1"); then
        explain "$1" "$answer"
        return 1
      fi
      echo "$1: Contributor, was $2"
      ;;
  esac
}

# grant PRINCIPAL
grant() {
  local answer role attempt
  for ((attempt = 1; ; attempt++)); do
    if answer=$(post "$1"); then
      echo "$1: Contributor"
      return 0
    fi
    # Whatever it was refused for: who has a role already needs no new one.
    if role=$(role_of "$1"); then
      raise "$1" "$role"
      return
    fi
    if [[ $answer == *[Pp]rincipal*[Nn]ot*[Ff]ound* ]] && ((attempt < attempts)); then
      echo "$1: not known to Fabric yet, trying again in $wait seconds" >&2
      sleep "$wait"
      continue
    fi
    explain "$1" "$answer"
    return 1
  done
}

status=0
for principal in "$@"; do
  grant "$principal" || status=1
done
exit "$status"
