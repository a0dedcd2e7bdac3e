# Completion of buildwarden(1) for fish: the program's own, so that it is that of the version that is installed.
buildwarden completion fish 2> /dev/null | source
