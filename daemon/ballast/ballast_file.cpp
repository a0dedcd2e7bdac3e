#include "daemon/ballast/ballast_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "common/format.h"
#include "daemon/ballast/ballast_home.h"

namespace buildwarden::disk {
namespace {

using policy::BallastAct;
using Homes = std::vector<BallastHome>;

struct Space {
  Bytes to_root = 0;
  Bytes to_all = 0;
};

Result<Space> space_of(const BallastHome& home) {
  struct statvfs info{};
  if (::fstatvfs(home.folder.get(), &info) != 0) return Error::from_errno(errno, format("statvfs {}", home.path));
  const auto block = static_cast<Bytes>(info.f_frsize);
  return Space{static_cast<Bytes>(info.f_bfree) * block, static_cast<Bytes>(info.f_bavail) * block};
}

// By one descriptor, so of one filesystem.
std::vector<policy::FreeReading> readings_of(const BallastHome& home, const Space& space) {
  policy::FreeReading reading;
  reading.mount = home.path;
  reading.bytes = space.to_root;
  return {reading};
}

Bytes held_in(const Homes& homes) {
  Bytes held = 0;
  for (const auto& home : homes) held += home.size;
  return held;
}

Result<void> cut(BallastHome& home, Bytes size) {
  while (::ftruncate(home.file.get(), size) != 0) {
    if (errno != EINTR) return Error::from_errno(errno, format("cut {}", home.path));
  }
  home.size = size;
  return {};
}

// Cut first: unlink alone leaves the blocks to the kernel's own time on XFS.
Result<void> give(BallastHome& home) {
  if (home.file.get() < 0) return {};
  if (auto done = cut(home, 0); !done) return done;
  home.file = UniqueFd();
  if (::unlinkat(home.folder.get(), kBallastName, 0) == 0) return {};
  return Error::from_errno(errno, format("delete {}", home.path));
}

// fallocate(2) itself: the C library would write zeros where the filesystem cannot do it.
Result<void> reserve(int file, Bytes size) {
  while (::fallocate(file, 0, 0, size) != 0) {
    if (errno == EINTR) continue;
    if (errno == EOPNOTSUPP) return Error(Errc::kInvalid, "the filesystem reserves no blocks in advance");
    return Error::from_errno(errno, format("reserve {}", format_bytes(size)));
  }
  const auto blocks = ballast_blocks(file);
  if (!blocks) return blocks.error();
  if (*blocks >= size) return {};
  return Error(Errc::kInvalid, format("of {} only {} are real blocks", format_bytes(size), format_bytes(*blocks)));
}

// Without a name until it is whole: a crash on the way leaves nothing behind.
Result<void> make(BallastHome& home, Bytes size) {
  UniqueFd file(::openat(home.folder.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.get() < 0 && errno == EOPNOTSUPP) return Error(Errc::kInvalid, "the filesystem has no unnamed files");
  if (file.get() < 0) return Error::from_errno(errno, format("make {}", home.path));
  if (auto marked = mark_ballast(file.get()); !marked) return marked;
  if (auto reserved = reserve(file.get(), size); !reserved) return reserved;
  const auto unnamed = format("/proc/self/fd/{}", file.get());
  if (::linkat(AT_FDCWD, unnamed.c_str(), home.folder.get(), kBallastName, AT_SYMLINK_FOLLOW) != 0) {
    return Error::from_errno(errno, format("name {}", home.path));
  }
  home.file = std::move(file);
  home.size = size;
  return {};
}

Result<void> grow(BallastHome& home, Bytes size) {
  const auto before = home.size;
  auto reserved = reserve(home.file.get(), size);
  if (reserved) {
    home.size = size;
  } else {
    static_cast<void>(cut(home, before));
  }
  return reserved;
}

// The first that has one, or where there is none the first of all.
BallastHome& main_home(Homes& homes) {
  for (auto& home : homes) {
    if (home.file.get() >= 0) return home;
  }
  return homes.front();
}

Result<void> enlarge(Homes& homes, const BallastWork& work) {
  auto& home = main_home(homes);
  const auto more = work.size - held_in(homes);
  const auto space = space_of(home);
  if (!space) return space.error();
  if (space->to_all - more < work.floor) {
    return Error(Errc::kConflict, format("{} are free by now, and {} must stay free beside {} more",
                                         format_bytes(space->to_all), format_bytes(work.floor), format_bytes(more)));
  }
  return home.file.get() >= 0 ? grow(home, home.size + more) : make(home, work.size);
}

Result<void> give_all(Homes& homes, const BallastHome* but) {
  Result<void> result;
  for (auto& home : homes) {
    if (&home == but) continue;
    if (auto done = give(home); !done) result = std::move(done);
  }
  return result;
}

Result<void> act_on(Homes& homes, const BallastWork& work) {
  switch (work.act) {
    case BallastAct::kKeep: return {};
    case BallastAct::kMake: return enlarge(homes, work);
    case BallastAct::kShrink: {
      auto& home = main_home(homes);
      if (auto done = give_all(homes, &home); !done) return done;
      return home.size > work.size ? cut(home, work.size) : Result<void>{};
    }
    case BallastAct::kGive: return give_all(homes, nullptr);
    case BallastAct::kRemove: {
      auto given = give_all(homes, nullptr);
      if (given) {
        for (const auto& home : homes) remove_hidden_folder(home);
      }
      return given;
    }
  }
  return {};
}

}  // namespace

Result<BallastDone> work_on_ballast(const BallastWork& work) {
  Homes homes;
  std::optional<Error> failure;
  for (const auto& place : work.places) {
    // Only the first that there is gets a folder made for it.
    auto look = work;
    if (!homes.empty()) look.act = BallastAct::kKeep;
    auto home = open_ballast_home(place, look);
    if (!home) {
      failure = std::move(home).error();
    } else if (*home) {
      homes.push_back(**std::move(home));
    }
  }
  // What is wrong in one place keeps nobody from what lies in another.
  if (homes.empty() && failure) return *failure;
  if (homes.empty() && work.act != BallastAct::kMake) return BallastDone{};
  if (homes.empty()) return Error(Errc::kNotFound, "there is no folder for it");
  const auto before = space_of(homes.front());
  if (!before) return before.error();
  if (auto done = act_on(homes, work); !done) return std::move(done).error();
  const auto after = space_of(homes.front());
  if (!after) return after.error();
  BallastDone done;
  done.held = held_in(homes);
  done.freed = policy::FreedSpace::between(readings_of(homes.front(), *before), readings_of(homes.front(), *after));
  done.free = after->to_all;
  return done;
}

}  // namespace buildwarden::disk
