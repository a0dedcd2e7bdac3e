// A folder by its path, found component by component, so that nobody but root decides where the path leads.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/result.h"
#include "common/unique_fd.h"

namespace buildwarden {

struct ResolvedFolder {
  UniqueFd folder;   // O_RDONLY | O_DIRECTORY: the very folder that was judged
  std::string path;  // without links
  // Why somebody else could put another folder in its place, and the cure, for people; "" = nobody could.
  std::string loose;
};

// Root and `self`, whom the process runs as, are trusted; who else may write to a folder may exchange what is in it.
// - A link is followed only where a trusted user owns it and the folder that it stands in, and nobody else may write
//   there. Not in a sticky folder either: a user who may write there can bring in a link of root's from elsewhere.
// - A name stays what it is in a folder of a trusted user that nobody else may write to; in a sticky one when it is a
//   folder of a trusted user that nobody else may write to, which others can neither rename there nor bring there.
// - A mount point stays below any folder, but a user who may write there can rename it all the same, from a mount
//   namespace of their own (user_namespaces(7); Linux 3.18, "vfs: Lazily remove mounts on unlinked files and
//   directories"), and so lead the path to another mount. Hence it counts when all who may do that could as well empty
//   what is mounted there: they lead root nowhere where they could not delete by themselves.
// - A FUSE filesystem that another user than root mounted (fusermount(1)) ends the walk before it is asked: a program
//   of that user answers for it, or does not, and says what it likes of owners and links.
// `..` is the folder that the walk came from. For a worker: a filesystem that root mounted may hang.
// kNotFound: a part is not there; kInvalid: the path is not absolute, or a part of it is no folder; kConflict: a link
// or a mount that does not count; kDenied: the kernel refuses; kTooLarge: more than 40 links.
Result<ResolvedFolder> resolve_folder(const std::string& path, uid_t self);
// The same for whom the process runs as.
Result<ResolvedFolder> resolve_folder(const std::string& path);

}  // namespace buildwarden
