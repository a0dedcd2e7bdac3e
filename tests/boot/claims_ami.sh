# shellcheck shell=bash disable=SC2154 # names of boot_test
# claims_ami.sh - what must hold of packaging/ami, on a machine from which the package was purged. Sourced after claims.sh.

is_installed() { [[ $(inside dpkg-query -W -f '${db:Status-Status}' buildwarden 2> /dev/null) == installed ]]; }

claim_bootstraps() {
  docker cp "$here/../../packaging/ami" "$machine:/var/tmp/ami" > /dev/null
  inside mkdir -p /usr/share/buildwarden/images /etc/buildwarden
  docker cp "$work/buildwarden.yaml" "$machine:/etc/buildwarden/buildwarden.yaml" > /dev/null
  must "a wrong package breaks no boot" inside bash /var/tmp/ami/bootstrap "/packages/$deb_name" 0000 2> "$work/bootstrap.log"
  must_not "a wrong package is installed" is_installed
  must "the bootstrap script ends well" inside bash /var/tmp/ami/bootstrap "/packages/$deb_name" "$(sha256sum < "$packages/$deb_name" | cut -d' ' -f1)"
  must "it is there" wait_for 300 answers
  inside apt-get purge -y buildwarden > "$work/apt.log" 2>&1
}

# The engine has the image already; it is saved, and of the package nothing but files is left.
claim_provisions() {
  local archive=/usr/share/buildwarden/images/moby-buildkit-buildx-stable-1.tar
  docker cp "$work/buildwarden.yaml" "$machine:/var/tmp/ami.yaml" > /dev/null
  must "the image is provisioned" inside bash /var/tmp/ami/provision --package "/packages/$deb_name" --config /var/tmp/ami.yaml > "$work/provision.log" 2>&1 ||
    { cat "$work/provision.log" >&2; return 1; }
  must_not "it was started" is_active buildwarden
  must_not "it left state" is_there /var/lib/buildwarden
  must_not "packages are kept from starting things" is_there /usr/sbin/policy-rc.d
  must "its image is saved" is_there "$archive"
  inside docker rmi -f moby/buildkit:buildx-stable-1 > /dev/null
  inside systemctl start multi-user.target buildwarden.socket buildwarden.service
  must "an instance of it gets warm" wait_for 300 is_warm
  must "the builder's image came from the archive" says "was loaded from $archive" buildwarden events
}
