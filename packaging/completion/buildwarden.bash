# shellcheck shell=bash
# Completion of buildwarden(1) for bash: the program's own, so that it is that of the version that is installed.
eval "$(buildwarden completion bash 2> /dev/null)"
