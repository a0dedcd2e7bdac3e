// Whom root trusts with a file or a folder: the one rule for what is read, measured and deleted.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

namespace buildwarden {

// Root, and `self`, whom the process runs as (geteuid(2)).
inline bool is_trusted_owner(uid_t owner, uid_t self) { return owner == 0 || owner == self; }

// Whether nobody but a trusted owner may write to the file, or exchange what is in the folder. The group's bit counts
// for root's group, too: with an access list it is the list's mask (acl(5)), and whose folder it is may have given it a
// default one that lets them write.
inline bool is_closed_to_others(uid_t owner, mode_t mode, uid_t self) {
  return is_trusted_owner(owner, self) && (mode & (S_IWGRP | S_IWOTH)) == 0;
}

}  // namespace buildwarden
