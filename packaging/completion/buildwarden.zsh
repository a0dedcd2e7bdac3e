#compdef buildwarden
# Completion of buildwarden(1) for zsh: the program's own, so that it is that of the version that is installed.
eval "$(buildwarden completion zsh 2> /dev/null)"
_buildwarden "$@"
